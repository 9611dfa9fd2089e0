"""Transient upsets in RTL simulation: one bit of a computed element inverted as it passes by.

A finished accumulator, or an activation, waits in the output register ``data_q`` of the unit that
computes it until the next unit takes it. Inverted there in the first cycle in which it is offered,
it is wrong for whoever reads it, once, in one image. The cycle of every word is recorded in a clean
run; it does not depend on values, and each image has its own, so one run strikes them all.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from flow.build import Build, load_build, netlist
from flow.build.netlist import Netlist, Unit
from flow.errors import ClaimError, InputError
from flow.ir import Array, Fault
from sim._session import ALWAYS, TOP, VISIBLE, Session
from sim.accelerator import CHUNK, FaultResponse
from sim.runner import CompiledDesign

BENCH = "sim.bench.transient_bench"
CONTROLS = ("keep", "strike", "struck")  # of the harness, for this bench alone
HOLDS = ("matvec", "depthwise", "add", "threshold", "threshold_search")  # whole elements in data_q
SIGNALS = ("data_q", "valid_q", "advance")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an element waits: word ``word`` of each image that ``unit`` puts into its ``data_q``,
    and the bit of that word."""

    unit: str
    word: int
    bit: int


def holder(net: Netlist, node: str) -> Unit:
    """The unit of ``net`` whose output register holds every element that ``node`` makes.

    Raises:
        InputError: there is none; the line says why.
    """
    found = next((unit for unit in net.units if unit.name == f"u_{node}"), None)
    able = ", ".join(sorted(u.name.removeprefix("u_") for u in net.units if u.module in HOLDS))
    if found is None:
        raise InputError(
            f"{node}: no unit of the accelerator makes its elements, so no register can be struck; "
            f"name others in 'nodes' ({able}) or use the engine \"model\" alone"
        )
    if found.module not in HOLDS:
        raise InputError(
            f"{node}: the register of a {found.module} holds partial results too, so its elements "
            f"cannot be struck alone; name others in 'nodes' ({able}) or use the engine \"model\" "
            "alone"
        )
    return found


def place(net: Netlist, shape: tuple[int, ...], fault: Fault) -> Place:
    """Where the element that ``fault`` strikes waits, its edge having ``shape``.

    Raises:
        InputError: as :func:`holder`.
    """
    unit = holder(net, fault.node)
    stream = unit.sinks[0]
    word, lane = divmod(int(np.ravel_multi_index(fault.index, shape)), stream.lanes)
    return Place(unit.name, word, lane * stream.element_bits + fault.bit)


def simulate_transients(
    directory: Path,
    x: Array,
    strikes: Sequence[Sequence[Fault]],
    *,
    cache: Path,
    simulator: str = "verilator",
) -> FaultResponse:
    """Stream the images ``x`` unstruck, and then once for every strike, each image being struck in
    its own cycles: (1 + strikes, images, ...).

    Every deposit is read back, in a cycle in which the register holds a word; a last clean run must
    equal the first.

    Raises:
        InputError: an element waits in no register of the build.
        ClaimError: a deposit did not take, or a run broke the rules of its stream.
    """
    session = TransientSession(load_build(directory), x, cache, simulator)
    parts = []
    for begin in range(0, max(len(strikes), 1), CHUNK):
        parts.append(session.strike(strikes[begin : begin + CHUNK]))
    first = parts[0].logits[:1], parts[0].classes[:1], parts[0].detected[:1]
    rest = zip(*((p.logits[1:], p.classes[1:], p.detected[1:]) for p in parts), strict=True)
    logits, classes, detected = (
        np.concatenate([clean, *found]) for clean, found in zip(first, rest, strict=True)
    )
    hung: Array = np.asarray((classes < 0).any(axis=1), dtype=np.int64)
    return FaultResponse(logits, classes, hung, detected, sum(part.cycles for part in parts))


class TransientSession(Session):
    """The harness around RTL whose output registers are in sight."""

    def strike(self, strikes: Sequence[Sequence[Fault]]) -> FaultResponse:
        """The clean run and every strike; see :func:`simulate_transients`."""
        runs = [self._masks(strike) for strike in strikes]
        watched = sorted({unit for run in runs for unit, _, _ in run})
        words = {unit.name: unit.sinks[0].words for unit in self.net.units}
        job = self.job() | {
            "offer": ALWAYS,
            "accept": ALWAYS,
            "units": {unit: words[unit] for unit in watched},
            "runs": runs,
        }
        with tempfile.TemporaryDirectory(prefix="transients.") as name:
            work = Path(name)
            self.simulate(job, BENCH, work=work)
            summary = self.summary(work)
            text = (work / "results.txt").read_bytes()
        return self._decode(text, summary, len(runs))

    def _masks(self, strike: Iterable[Fault]) -> list[tuple[str, int, str]]:
        """Unit, word of an image and mask in hexadecimal; equal flips cancel."""
        edges = self.graph.edges()
        masks: dict[tuple[str, int], int] = {}
        for fault in strike:
            holder(self.net, fault.node)  # an element without a register may have no node either
            at = place(self.net, edges[self.graph.node(fault.node).output].shape, fault)
            masks[at.unit, at.word] = masks.get((at.unit, at.word), 0) ^ (1 << at.bit)
        return [(unit, word, f"{mask:x}") for (unit, word), mask in masks.items() if mask]

    def _decode(self, text: bytes, summary: Mapping[str, Any], runs: int) -> FaultResponse:
        images = len(self.x)
        logits, classes, _, detected = self.decode(text, (runs + 2) * images)
        shape = (runs + 2, images)
        logits, classes = logits.reshape(*shape, -1), classes.reshape(shape)
        for what in ("extra", "protocol"):
            if any(summary[what]):
                raise ClaimError(f"{self.build.directory}: a transient breaks the stream ({what})")
        if (logits[0] != logits[-1]).any() or (classes[0] != classes[-1]).any():
            raise ClaimError(f"{self.build.directory}: reset does not undo a transient")
        return FaultResponse(
            logits[:-1],
            classes[:-1],
            np.asarray((classes[:-1] < 0).any(axis=1), dtype=np.int64),
            detected.reshape(shape)[:-1].astype(np.int64),
            summary["cycles"],
        )

    @cached_property
    def _compiled(self) -> CompiledDesign:
        used = {unit.module for unit in self.net.units}
        public = dict(VISIBLE) | {module: SIGNALS for module in HOLDS if module in used}
        public[TOP] = (*VISIBLE[TOP], *CONTROLS)
        return self._design(public)


def check_places(build: Build, nodes: Iterable[str]) -> None:
    """Refuse, before anything runs, nodes whose elements wait in no register of ``build``.

    Raises:
        InputError: as :func:`holder`.
    """
    net = netlist(build.graph(), build.plan())
    for node in nodes:
        holder(net, node)
