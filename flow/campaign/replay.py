"""Run a reproducer again, engine by engine, and say where the fault first shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flow.build import Build, load_build, site_table
from flow.campaign.execute import run_hls, run_rtl
from flow.campaign.faultlist import Strike
from flow.campaign.model import reference
from flow.campaign.outcome import Answers
from flow.campaign.reproducer import Answer, Claim, Reproducer, load_reproducer
from flow.engine import BatchedEngine
from flow.errors import InputError
from flow.graphfile import digest, load_graph
from flow.ir import Array, Graph, Kind, as_flips


@dataclass(frozen=True, slots=True)
class Trace:
    """One node: elements of its output that the fault changes, and on which engines differ."""

    node: str
    changed: int  # Graph.evaluate with the fault against without it
    differing: int  # the batched engine against Graph.evaluate, both with the fault
    rtl: int | None = None  # the same of RTL, missing elements too; None: it does not show the node


@dataclass(frozen=True, slots=True)
class Replay:
    """What the engines say now."""

    reproducer: Reproducer
    answers: Mapping[str, Answer]  # by engine; "clean" is the model without the fault
    trace: tuple[Trace, ...]  # in the order of the network
    first_changed: str | None  # the first node whose output the fault changes
    first_differing: str | None  # the first node on which engines differ, as far as they show it
    reproduced: bool  # the claim fails again


def replay(
    path: Path, *, cache: Path, graph: Path | None = None, build: Path | None = None
) -> Replay:
    """Run the strike and image of the reproducer at ``path`` in every engine it concerns.

    ``graph`` or ``build`` replace the places written in the file. RTL shows the words that units
    hand on; HLS shows its logits only, so a difference in it alone is attributed to the node that
    makes them.

    Raises:
        InputError: the file is no reproducer, or the network there is another one.
    """
    case = load_reproducer(path)
    network, made = _network(case, path, graph=graph, build=build)
    faults = case.faults
    x, clean, struck = _evaluated(case, network, path)
    batched = BatchedEngine(network).run_all(x, faults)
    stored = not any(fault.kind is Kind.TRANSIENT for fault in faults)
    seen: dict[str, int] = {}
    if made is not None and stored:  # a transient is put on the streams that would be recorded
        seen = _rtl_differences(made, x, faults, struck, cache=cache)
    trace = _trace(network, clean, struck, batched, seen)
    answers = {
        "clean": _answer(reference(network, x)),
        "model": _answer(reference(network, x, faults)),
        "batched": _answer(Answers.of(batched[network.logits])),
    }
    if made is not None:
        answers |= _built_answers(made, x, faults, stored=stored, cache=cache)
    agree = all(answers[name] == answers["model"] for name in answers.keys() - {"clean"})
    first_differing = next((t.node for t in trace if t.differing or t.rtl), None)
    if first_differing is None and not agree:
        first_differing = _maker(network, network.logits)
    return Replay(
        reproducer=case,
        answers=answers,
        trace=trace,
        first_changed=next((t.node for t in trace if t.changed), None),
        first_differing=first_differing,
        reproduced=not agree if case.claim is Claim.ENGINES_AGREE else _broken(case, answers),
    )


def _evaluated(
    case: Reproducer, network: Graph, path: Path
) -> tuple[Array, dict[str, Array], dict[str, Array]]:
    """The image, and every edge without the faults and with them."""
    try:
        x = np.array(case.image, dtype=np.int64).reshape(1, *network.input_edge.shape)
        return x, network.evaluate_all(x), network.evaluate_all(x, case.faults)
    except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
        raise InputError(f"{path}: no case of its network ({error}); run the campaign") from None


def _built_answers(
    build: Build, x: Array, faults: Strike, *, stored: bool, cache: Path
) -> dict[str, Answer]:
    """Of HLS, which has no registers and so only faults of ``stored`` bits, and of RTL."""
    answers = {}
    if stored:
        answers["hls"] = _answer(run_hls(build, x, faults, cache=cache))
    return answers | {"rtl": _answer(run_rtl(build, x, [faults], cache=cache).part(-1))}


def _trace(
    graph: Graph,
    clean: Mapping[str, Array],
    struck: Mapping[str, Array],
    batched: Mapping[str, Array],
    rtl: Mapping[str, int],
) -> tuple[Trace, ...]:
    """Of every node, from the values of all edges."""
    return tuple(
        Trace(
            node.name,
            int((struck[node.output] != clean[node.output]).sum()),
            int((batched[node.output] != struck[node.output]).sum()),
            rtl.get(node.name),
        )
        for node in graph.nodes
    )


def _rtl_differences(
    build: Build, x: Array, faults: Strike, wanted: Mapping[str, Array], *, cache: Path
) -> dict[str, int]:
    """By node that RTL shows, on how many elements it is not ``wanted``, by edge."""
    from sim.nodes import simulate_nodes  # a replay in the model needs no simulator

    graph = build.graph()
    table = site_table(graph, build.plan())
    sites = [table.site(fault) for fault in as_flips(graph, faults)]
    found = {}
    for seen in simulate_nodes(build.directory, x, sites, cache=cache):
        right = wanted[graph.node(seen.node).output].ravel()
        came = min(len(right), len(seen.values))
        wrong = int((seen.values[:came] != right[:came]).sum())
        found[seen.node] = wrong + abs(len(seen.values) - len(right))
    return found


def _broken(case: Reproducer, answers: Mapping[str, Answer]) -> bool:
    """Whether the model does again what the certificate excludes."""
    return {name: answers[name] for name in ("clean", "model")} == dict(case.answers)


def _network(
    case: Reproducer, path: Path, *, graph: Path | None, build: Path | None
) -> tuple[Graph, Build | None]:
    if build is None and graph is None:
        build = None if case.build is None else Path(case.build)
        graph = None if case.graph is None else Path(case.graph)
    if build is not None:
        made = load_build(build)
        network: Graph = made.graph()
    elif graph is not None:
        made, network = None, load_graph(graph)
    else:
        raise InputError(f"{path}: names no network; give its graph or build directory")
    if digest(network) != case.graph_digest:
        raise InputError(f"{path}: made with another graph than {network.name!r}; give that one")
    if made is not None and case.plan_digest not in (None, made.plan_digest):
        raise InputError(f"{path}: made with another plan than {made.directory}; give that build")
    return network, made


def _maker(graph: Graph, edge: str) -> str:
    node = graph.producer(edge)
    assert node is not None, "two engines cannot differ on the input"
    return node.name


def _answer(answers: Answers) -> Answer:
    logits, classes = _single(answers.logits, ndim=1), _single(answers.classes, ndim=0)
    return Answer(tuple(logits.tolist()), int(classes))


def _single(values: Array, *, ndim: int) -> Array:
    """The only entry along the leading axes."""
    return values.reshape(values.shape[values.ndim - ndim :])
