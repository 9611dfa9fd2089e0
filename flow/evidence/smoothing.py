"""Certificates of the smoothed classifier, and the curve of certified images against distance."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from flow.build import load_build, netlist
from flow.build.smoothing import Smoother
from flow.certify import Property, Smoothing, Verdict
from flow.certify import certify_smoothing as certify_by_votes
from flow.certify.certificate import CertificateSet
from flow.certify.noise_lanes import lane_states
from flow.certify.parts import in_parts
from flow.certify.smoothing import ESTIMATION, noise_table
from flow.certify.smoothing_bounds import abstains
from flow.errors import InputError
from flow.graphfile import digest, load_graph
from flow.stages import Images, Progress, Record, fitting


def smoother(build_dir: Path, *, sigma: str, votes: int, seed: int = 0) -> Smoother:
    """Noise and votes around the accelerator of ``build_dir``.

    On the board the noise of image k after reset is rows ``k * votes`` onward of the stream that
    counts the votes of certificates (``certify_smoothing`` with the build's lanes and this seed).

    Args:
        sigma: exact, as ``1.5`` or ``3/2``, in pixel codes.

    Raises:
        InputError: a number is out of its range, or the graph cannot be smoothed.
    """
    build = load_build(build_dir)
    graph = build.graph()
    lanes = netlist(graph, build.plan()).input.lanes
    terms = Smoothing(_exact("sigma", sigma), votes, seed=seed, lanes=lanes)
    states = lane_states(seed, lanes=lanes, stream=ESTIMATION)
    return Smoother(
        noise_table(graph, terms).levels,
        tuple(word for state in states for word in state),
        votes,
        {"sigma": str(terms.sigma), "votes": votes, "seed": seed, "lanes": lanes},
    )


def certify_smoothing(
    graph_path: Path,
    data: Images,
    *,
    directory: Path,
    sigma: str,
    samples: int = 10_000,
    selection: int = 100,
    alpha: str = "0.001",
    seed: int = 0,
    lanes: int | None = None,
    progress: Progress | None = None,
) -> Record:
    """Certificates of the smoothed classifier in one file; certified images against distance.

    Args:
        sigma, alpha: exact, as ``1.5`` or ``3/2``; sigma in pixel codes.
        lanes: noise as hardware of so many lanes draws it.

    Raises:
        InputError: a number is out of its range, or the graph cannot be smoothed.
    """
    terms = Smoothing(
        _exact("sigma", sigma), samples, selection, _exact("alpha", alpha), seed, lanes
    )
    graph = load_graph(graph_path)
    x = fitting(graph, data)
    started = perf_counter()
    lane = "" if lanes is None else f"-lanes-{lanes}"
    path = directory / f"smoothing-sigma-{sigma.replace('/', '_')}{lane}.json"
    asked = {"kind": str(Property.SMOOTHING), **terms.record()}
    found = in_parts(
        partial(certify_by_votes, terms=terms),
        graph,
        (x, data.y),
        path=path,
        asked=asked,
        progress=progress,
    )
    seconds = perf_counter() - started
    return {
        "graph": graph.name,
        "graph_digest": digest(graph),
        "property": str(Property.SMOOTHING),
        "method": f"votes under rounded Gaussian noise, sigma {sigma}; each image wrong with "
        f"chance at most {alpha}",
        "data": data.name,
        "images": len(x),
        **found.terms,
        "seconds": round(seconds, 2),
        **found.summary(),
        "predicted": _predicted(found, terms),
        "radii": curve(found, terms.sigma),
        "certificates": path.name,
    }


def curve(found: CertificateSet, sigma: Fraction) -> list[dict[str, Any]]:
    """Images certified at every quarter of sigma, for the source's own classifier and the ideal."""
    certified = [c for c in found.certificates if c.verdict is Verdict.STATISTICAL]
    rows: list[dict[str, Any]] = []
    while True:
        radius = sigma * len(rows) / 4
        nearest = radius**2 // 1  # squared distances are whole
        own, ideal = (
            sum(c.detail[name] is not None and c.detail[name] >= nearest for c in certified)
            for name in ("squared", "ideal")
        )
        rows.append({"radius": float(radius), "certified": own, "certified_ideal": ideal})
        if not own and not ideal:
            return rows


def _predicted(found: CertificateSet, terms: Smoothing) -> dict[str, int]:
    """Prediction from the same votes: right, wrong, or left open at level alpha."""
    counts = {"right": 0, "wrong": 0, "abstained": 0}
    for certificate in found.certificates:
        votes = certificate.detail["votes"]
        first, second = sorted(votes, reverse=True)[:2]
        if abstains(first, second, alpha=terms.alpha):
            counts["abstained"] += 1
        else:
            right = votes.index(first) == certificate.label
            counts["right" if right else "wrong"] += 1
    return counts


def _exact(name: str, text: str) -> Fraction:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise InputError(f"--{name} {text!r}: give a number such as 1.5 or 3/2") from None
