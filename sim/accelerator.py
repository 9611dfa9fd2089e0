"""A whole accelerator in RTL simulation, clean and with faults.

The harness streams images and records results inside the simulation; ``sim/_session.py`` writes its
stimulus, tells the bench what to inject and decodes what it recorded. The simulator runs in a work
folder that links the build's ``images``, so one compiled simulator serves every build of a shape.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flow.build import FaultSite, load_build
from flow.errors import ClaimError, InputError
from flow.ir import Array, Graph
from flow.schedule import Plan, interval, simulate_tokens
from sim._session import ALWAYS, Results, Session

Progress = Callable[[int, int], None]
SETTLED = 16  # images after which the pace is steady: every FIFO has filled as far as it will
CHUNK = 2000  # fault groups per simulator process


@dataclass(frozen=True, eq=False, slots=True)
class Response:
    """What the RTL answered, in image order."""

    logits: Array  # (images, classes)
    classes: Array  # (images,)
    taken: Array  # (images,), cycle of each result from the first offered input word

    @property
    def first_latency(self) -> int:
        """Cycles from the first offered input word to the first result."""
        return int(self.taken[0])

    @property
    def intervals(self) -> Array:
        """Cycles from each result to the next, (images - 1,)."""
        return np.diff(self.taken)


@dataclass(frozen=True, eq=False, slots=True)
class FaultResponse:
    """What the RTL answered under each group of faults; -1 where a result never came."""

    logits: Array  # (groups, images, classes)
    classes: Array  # (groups, images)
    hung: Array  # (groups,), 1 where the accelerator stopped answering
    detected: Array  # (groups, images), 1 where a memory had reported when the result was taken
    cycles: int  # simulated clock cycles, all groups together


def simulate_rtl(
    directory: Path,
    x: Array,
    *,
    cache: Path,
    simulator: str = "verilator",
    offer: int = ALWAYS,
    accept: int = ALWAYS,
    progress: Progress | None = None,
) -> Response:
    """Stream the images ``x``, (images, *input shape), back to back through the RTL of a build.

    ``offer`` and ``accept`` are chances in 256 per cycle that the harness offers a word and takes a
    result; below 256 they stall the accelerator at random, which must not change an answer. Without
    stalls the steady state is checked to be the interval of the plan, exactly. Compiled simulators
    are kept in ``cache``.

    Raises:
        InputError: the directory is damaged, or ``x`` does not fit the input edge.
        ClaimError: a result is missing, too much or withdrawn, or comes at another cycle than the
            plan promises.
    """
    session = Session(load_build(directory), x, cache, simulator)
    found = session.run([[]], offer=offer, accept=accept)
    _check_streams(found)
    if found.hung.any():
        raise ClaimError(f"{directory}: the accelerator stopped before its last result")
    response = Response(found.logits[0], found.classes[0], found.taken[0])
    if offer == accept == ALWAYS:
        check_cycles(session.graph, session.plan, response)
    if progress is not None:
        progress(len(x), len(x))
    return response


def simulate_faults(
    directory: Path,
    x: Array,
    sites: Sequence[Sequence[FaultSite]],
    *,
    cache: Path,
    simulator: str = "verilator",
    progress: Progress | None = None,
) -> FaultResponse:
    """Run ``x`` once for every group of bit flips, deposited together into the RTL's memories.

    Every deposited and every restored word is read back, and at the end of each simulator process
    the hash of every memory is compared with its image. ``progress`` counts groups.

    Raises:
        InputError: as :func:`simulate_rtl`; a site is no flip or not of this build.
        ClaimError: a deposit did not take, a memory was not restored, or a stream broke its rules.
    """
    if not sites:
        raise InputError("no groups of faults; give at least one, which may be empty")
    session = Session(load_build(directory), x, cache, simulator)
    runs = [session.deposits(group) for group in sites]
    parts = []
    for begin in range(0, len(runs), CHUNK):
        parts.append(session.run(runs[begin : begin + CHUNK]))
        _check_streams(parts[-1])
        if progress is not None:
            progress(min(begin + CHUNK, len(runs)), len(runs))
    return FaultResponse(
        logits=np.concatenate([part.logits for part in parts]),
        classes=np.concatenate([part.classes for part in parts]),
        hung=np.concatenate([part.hung for part in parts]).astype(np.int64),
        detected=np.concatenate([part.detected for part in parts]).astype(np.int64),
        cycles=sum(part.summary["cycles"] for part in parts),
    )


def check_cycles(graph: Graph, plan: Plan, response: Response) -> None:
    """Check the first results against the token simulation and the others against the formula.

    Raises:
        ClaimError: a result came in another cycle than the plan promises; the line names it.
    """
    count = len(response.taken)
    timing = simulate_tokens(graph, plan.folding, plan.fifo_depth, images=min(count, SETTLED))
    steady = interval(graph, plan.folding) * np.arange(1, count - len(timing.taken) + 1)
    promised = np.concatenate([timing.taken, timing.taken[-1] + steady])
    wrong = np.flatnonzero(response.taken != promised)
    if wrong.size:
        image = int(wrong[0])
        raise ClaimError(
            f"graph {graph.name!r}: the result of image {image} comes in cycle "
            f"{response.taken[image]} where the plan promises {promised[image]}"
        )


def _check_streams(found: Results) -> None:
    for what, message in (
        ("extra", "words after the last image"),
        ("protocol", "words withdrawn or changed before they were taken"),
    ):
        counts = found.summary[what]
        if any(counts):
            raise ClaimError(f"run {next(i for i, n in enumerate(counts) if n)}: {message}")
