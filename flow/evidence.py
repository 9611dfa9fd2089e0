"""The stages that make evidence: certificates, attacks and campaigns, as JSON records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np

from flow.attack import Descent, bfa, exhaustive_best_flip, pgd, random_flips
from flow.attack.result import AttackResult
from flow.campaign import OtherCampaignError, clear, run_campaign, summary
from flow.campaign import Recipe as Campaign
from flow.certify import (
    Budget,
    CertificateSet,
    Property,
    SingleFlips,
    certify_complete,
    certify_k_flips,
    certify_linear,
    input_box,
    k_flips,
    save_certificates,
    single_flips,
)
from flow.certify import certify_bits as certify_every_flip
from flow.certify import certify_input as certify_box
from flow.certify import certify_pixel as certify_one_element
from flow.certify.input import check_labels as check_classes
from flow.engine import BatchedEngine
from flow.errors import InputError
from flow.graphfile import digest, load_graph
from flow.stages import Images, Progress, Record, fitting

# How a property of the input is answered, in the words of the record.
WORDS = {
    "ibp": "integer interval bounds, then a search for witnesses",
    "linear": "interval and Lagrangian bounds in exact integers, and a search for witnesses",
    "complete": "branch and bound on interval and Lagrangian bounds in exact integers",
    "pixel": "every value of every one element within the radius",
}


def certify_inputs(
    claim: Property,
    graph_path: Path,
    data: Images,
    *,
    radii: Sequence[int],
    directory: Path,
    method: str = "ibp",
    seconds: float = 60.0,
    progress: Progress | None = None,
) -> Record:
    """Certificates of a property of the input, one file per radius; counts in the record.

    Args:
        method: of whole inputs: ``ibp``, ``linear`` or ``complete`` with ``seconds`` per image.
    """
    certify = _certifier(claim, method, seconds)
    graph = load_graph(graph_path)
    x = fitting(graph, data)
    rows = []
    for radius in radii:
        started = perf_counter()
        found = certify(graph, x, y=data.y, radius=radius, progress=progress)
        spent = round(perf_counter() - started, 2)
        kind = f"{claim}-{method}" if method in ("linear", "complete") else str(claim)
        path = directory / f"{kind}-radius-{radius}.json"
        save_certificates(found, path)
        rows.append(
            {"radius": radius, **found.summary(), "seconds": spent, "certificates": path.name}
        )
    return {
        "graph": graph.name,
        "graph_digest": digest(graph),
        "property": str(claim),
        "method": WORDS[method if claim is Property.INPUT else claim],
        "data": data.name,
        "images": len(x),
        "radii": rows,
    }


def _certifier(claim: Property, method: str, seconds: float) -> Callable[..., CertificateSet]:
    if claim is Property.PIXEL:
        return certify_one_element
    if method == "complete":
        return partial(certify_complete, budget=Budget(seconds), attack=pgd)
    return partial(certify_linear, attack=pgd) if method == "linear" else certify_box


def certify_bits(
    graph_path: Path, data: Images, *, directory: Path, progress: Progress | None = None
) -> Record:
    """Every single stored bit flip on every image, exactly; one certificate file."""
    graph = load_graph(graph_path)
    x = fitting(graph, data)
    started = perf_counter()
    flips = single_flips(graph, x, y=data.y, progress=progress)
    seconds = perf_counter() - started
    found = certify_every_flip(flips, x, y=data.y)
    save_certificates(found, directory / "bits-single.json")
    pairs = len(flips.bits) * len(x)
    worst = int(flips.class_changes.argmax())
    return {
        "graph": graph.name,
        "graph_digest": digest(graph),
        "property": "bits",
        "method": "exhaustive single flips by delta propagation, exact",
        "data": data.name,
        "images": len(x),
        "stored_bits": len(flips.bits),
        "pairs": pairs,
        "pairs_with_changed_logits": int(flips.logit_changes.sum()),
        "pairs_with_changed_class": int(flips.class_changes.sum()),
        "seconds": round(seconds, 2),
        "worst_fault": str(flips.bits.fault(worst)),
        "worst_fault_images": int(flips.class_changes[worst]),
        "by_bit": _by_bit(flips, len(x)),
        "enumeration": flips.enumeration(),
        **found.summary(),
        "certificates": "bits-single.json",
    }


def certify_any_flips(
    graph_path: Path,
    data: Images,
    *,
    flips: int,
    directory: Path,
    progress: Progress | None = None,
) -> Record:
    """Any ``flips`` stored bits flipped together: budgets prove, a greedy attack refutes."""
    graph = load_graph(graph_path)
    x = fitting(graph, data)
    started = perf_counter()
    found = k_flips(graph, x, y=data.y, flips=flips, progress=progress)
    seconds = perf_counter() - started
    name = f"bits-{flips}.json"
    certificates = certify_k_flips(graph, found, x, y=data.y)
    save_certificates(certificates, directory / name)
    attacked = [len(witness) for witness in found.witness]
    return {
        "graph": graph.name,
        "graph_digest": digest(graph),
        "property": "bits",
        "method": "budgets of flips through integer intervals, then greedy exact flips",
        "data": data.name,
        "images": len(x),
        "flips": flips,
        "seconds": round(seconds, 2),
        "by_flips": [
            {
                "flips": k,
                "certified": int((found.correct & (found.certified >= k)).sum()),
                "attacked": sum(0 < n <= k for n in attacked),
            }
            for k in range(1, flips + 1)
        ],
        **certificates.summary(),
        "certificates": name,
    }


def _by_bit(flips: SingleFlips, images: int) -> list[Record]:
    """Exact shares of pairs with changed logits and class, per parameter and bit position."""
    rows = []
    for block in flips.bits.blocks:
        span = slice(block.first, block.first + block.size)
        logits = flips.logit_changes[span].reshape(-1, block.bits).sum(axis=0)
        classes = flips.class_changes[span].reshape(-1, block.bits).sum(axis=0)
        pairs = block.size // block.bits * images
        rows += [
            {
                "group": f"{block.node}.{block.parameter} bit {bit}",
                "pairs": pairs,
                "changed": int(logits[bit]) / pairs,
                "critical": int(classes[bit]) / pairs,
            }
            for bit in range(block.bits)
        ]
    return rows


def attack(
    graph_path: Path,
    train: Images,
    test: Images,
    *,
    method: str,
    budget: int,
    seeds: Sequence[int],
    progress: Progress | None = None,
) -> Record:
    """Run an attack once per seed; the attack sees training images, the accuracy is the test's."""
    graph = load_graph(graph_path)
    on = (fitting(graph, test), test.y)
    results: list[AttackResult] = []
    started = perf_counter()
    for seed in seeds:
        if method in ("bfa", "greedy"):
            search = bfa if method == "bfa" else exhaustive_best_flip
            source = (fitting(graph, train), train.y)
            results.append(
                search(graph, *source, budget=budget, seed=seed, evaluate_on=on, progress=progress)
            )
        elif method == "random":
            results.append(
                random_flips(graph, budget=budget, seed=seed, evaluate_on=on, progress=progress)
            )
        else:
            raise InputError(f"method {method!r}: unknown; choose bfa, greedy or random")
    return {
        "graph": graph.name,
        "graph_digest": digest(graph),
        "method": method,
        "data": test.name,
        "images": len(test.y),
        "budget": budget,
        "seconds": round(perf_counter() - started, 1),
        "hamming_distance": [r.hamming_distance for r in results],
        "accuracy": [r.accuracy for r in results],
        "stop": [str(r.stop) for r in results],
        "runs": [r.record() for r in results],
    }


def attack_inputs(
    graph_path: Path,
    test: Images,
    *,
    method: str,
    radii: Sequence[int],
    seeds: Sequence[int],
    progress: Progress | None = None,
) -> Record:
    """Attack the test images within each radius, ``pgd`` or ``fgsm``; accuracies per seed.

    Raises:
        InputError: a radius is below 0, or the graph is no chain that ends in ArgMax.
    """
    graph = load_graph(graph_path)
    x = fitting(graph, test)
    check_classes(graph, x, test.y)
    engine, descent = BatchedEngine(graph), Descent.fgsm() if method == "fgsm" else Descent()
    clean, rows = float((engine.run(x) == test.y).mean()), []
    started = perf_counter()
    for radius in radii:
        box = input_box(graph, x, radius=radius)
        broken = [
            pgd(
                engine, x, box, test.y, rng=np.random.default_rng(seed), descent=descent,
                progress=progress,
            )[1]
            for seed in seeds
        ]  # fmt: skip
        rows.append({"radius": radius, "accuracy": [float(1 - b.mean()) for b in broken]})
    return {
        "graph": graph.name,
        "graph_digest": digest(graph),
        "method": method,
        "data": test.name,
        "images": len(x),
        "seeds": list(seeds),
        "steps": descent.steps,
        "restarts": descent.restarts,
        "clean_accuracy": clean,
        "radii": rows,
        "seconds": round(perf_counter() - started, 1),
    }


def campaign(
    recipe: Campaign,
    data: Images,
    *,
    out: Path,
    cache: Path,
    resume: bool = True,
    replace: bool = False,
    progress: Progress | None = None,
) -> Record:
    """Run or resume a campaign; every pair agreed, or this raised ``ClaimError``.

    With ``replace`` a folder that holds another campaign is emptied first, not refused.
    """
    run_recipe = partial(
        run_campaign,
        recipe,
        (data.x, data.y),
        out=out,
        cache=cache,
        progress=progress,
    )
    try:
        run_recipe(resume=resume)
    except OtherCampaignError:
        if not replace:
            raise
        clear(out)
        run_recipe(resume=True)
    return summary(out)
