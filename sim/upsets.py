"""Register upsets in RTL simulation: one flip-flop inverted in one cycle while images stream.

Each upset has a run of its own: a reset, ``window`` images back to back with the bit inverted in
the middle of one cycle, and, without a reset, ``follow`` more images once the accelerator is quiet.
The RTL is compiled as synthesis sees it, so that its registers are those of the hardware.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow.build import load_build
from flow.errors import ClaimError, InputError
from flow.ir import Array
from sim._session import ALWAYS, TOP, VISIBLE, Session
from sim.registers import Register, registers
from sim.runner import CompiledDesign

BENCH = "sim.bench.upset_bench"
CONTROLS = ("keep", "strike", "struck")  # of the harness, for this bench alone


@dataclass(frozen=True, slots=True)
class Upset:
    """``bit`` of ``register`` inverted in ``cycle`` of a run that begins with image ``first``.

    Cycle 0 is the first in which an input word is offered.
    """

    register: str
    bit: int
    cycle: int
    first: int

    def __str__(self) -> str:
        return f"{self.register} bit {self.bit} in cycle {self.cycle} from image {self.first}"


@dataclass(frozen=True, eq=False, slots=True)
class UpsetResponse:
    """What the RTL answered; the last axis but one counts the ``window + follow`` images of a run.

    -1 stands for what never came.
    """

    clean_logits: Array  # (images, classes)
    clean_classes: Array  # (images,)
    logits: Array  # (upsets, window + follow, classes)
    classes: Array  # (upsets, window + follow)
    detected: NDArray[np.bool_]  # (upsets, window + follow), a memory had reported by then
    broken: NDArray[np.bool_]  # (upsets,), a word was withdrawn, changed, or one too many
    cycles: int  # simulated clock cycles


@dataclass(frozen=True)
class UpsetRun:
    """The images ``x``, (images, *input shape), and how they are streamed past an upset.

    ``accept`` is the chance in 256 per cycle that a result is taken; below 256 results wait, so
    that one which is withdrawn or changes meanwhile is seen. A run hangs when no result has come
    for ``patience`` times the cycles of the first clean one.
    """

    directory: Path
    x: Array
    cache: Path
    simulator: str = "verilator"
    window: int = 3
    follow: int = 1
    accept: int = ALWAYS
    patience: int = 4

    def __post_init__(self) -> None:
        if self.window < 1 or self.follow < 1:
            raise InputError(f"window {self.window}, follow {self.follow}: give at least 1 of each")
        if len(self.x) < self.window + self.follow:
            raise InputError(
                f"{len(self.x)} images where an upset takes {self.window} + {self.follow}; give "
                "more images or lower `window`"
            )
        if not 1 <= self.accept <= ALWAYS:
            raise InputError(f"accept {self.accept}: give a chance of 1 to {ALWAYS} in {ALWAYS}")
        if self.patience < 2:
            raise InputError(f"patience {self.patience}: a clean run would hang; give 2 or more")

    @cached_property
    def registers(self) -> tuple[Register, ...]:
        """All flip-flops of the design."""
        return registers(self._session.build)

    @cached_property
    def cycles(self) -> int:
        """In which an upset can strike: until the last clean result of the window is taken."""
        return int(self._clean[self.window - 1]) + 1

    @property
    def starts(self) -> int:
        """First images to choose from."""
        return len(self.x) - self.window - self.follow + 1

    def run(self, upsets: Sequence[Upset]) -> UpsetResponse:
        """Try every upset, between two clean runs of all images that must agree.

        Raises:
            InputError: an upset is outside the design or the run.
            ClaimError: a deposit did not take, a clean run broke a rule of its stream, or reset
                did not undo what upsets had done.
        """
        for upset in upsets:
            self._check(upset)
        return self._decode(*self._simulate(upsets), upsets)

    def _check(self, upset: Upset) -> None:
        bits = {register.name: register.bits for register in self.registers}.get(upset.register)
        if bits is None:
            raise InputError(
                f"{upset}: the design has no such register; see `bitproof campaign registers`"
            )
        for what, value, end in (
            ("bit", upset.bit, bits),
            ("cycle", upset.cycle, self.cycles),
            ("image", upset.first, self.starts),
        ):
            if not 0 <= value < end:
                raise InputError(f"{upset}: {what} {value} is outside 0 .. {end - 1}")

    @cached_property
    def _session(self) -> _UpsetSession:
        return _UpsetSession(load_build(self.directory), self.x, self.cache, self.simulator)

    @cached_property
    def _clean(self) -> Array:
        """Cycles of the clean results."""
        text, _ = self._simulate([])
        return self._session.decode(text, 2 * len(self.x))[2]

    def _simulate(self, upsets: Sequence[Upset]) -> tuple[bytes, dict[str, Any]]:
        session = self._session
        base = session.job()
        job = base | {
            "registers": {r.name: r.bits for r in self.registers},
            "upsets": [[u.register, u.bit, u.cycle, u.first] for u in upsets],
            "window": self.window,
            "follow": self.follow,
            "offer": ALWAYS,
            "accept": self.accept,
            "patience": base["watchdog"],
            "watchdog": self.patience * int(self._clean[0] + 1) if upsets else base["watchdog"],
        }
        with tempfile.TemporaryDirectory(prefix="upsets.") as name:
            work = Path(name)
            session.simulate(job, BENCH, work=work)
            return (work / "results.txt").read_bytes(), session.summary(work)

    def _decode(
        self, text: bytes, summary: dict[str, Any], upsets: Sequence[Upset]
    ) -> UpsetResponse:
        images, length = len(self.x), self.window + self.follow
        owed = 2 * images + len(upsets) * length
        logits, classes, taken, detected = self._session.decode(text, owed)
        last = owed - images
        broken = np.add(summary["extra"], summary["protocol"]) > 0
        clean = np.s_[:images], np.s_[last:]
        if any((taken[part] < 0).any() or detected[part].any() for part in clean) or (
            broken[[0, -1]].any()
        ):
            raise ClaimError(f"{self.directory}: a clean run breaks the rules of its stream")
        for values in (logits, classes, taken):
            if (values[clean[0]] != values[clean[1]]).any():
                raise ClaimError(f"{self.directory}: reset does not undo an upset")
        struck, shape = np.s_[images:last], (len(upsets), length)
        return UpsetResponse(
            clean_logits=logits[:images],
            clean_classes=classes[:images],
            logits=logits[struck].reshape(*shape, -1),
            classes=classes[struck].reshape(shape),
            detected=detected[struck].reshape(shape),
            broken=broken[1:-1].reshape(len(upsets), 2).any(axis=1),
            cycles=summary["cycles"],
        )


class _UpsetSession(Session):
    """The same harness around the RTL with every register in sight."""

    @cached_property
    def _compiled(self) -> CompiledDesign:
        public: dict[str, set[str]] = {}
        for register in registers(self.build):
            public.setdefault(register.module, set()).add(register.signal)
        named = {module: tuple(sorted(signals)) for module, signals in sorted(public.items())}
        merged = {
            m: tuple(dict.fromkeys([*VISIBLE.get(m, ()), *named.get(m, ())]))
            for m in dict.fromkeys([*VISIBLE, *named])
        }
        merged[TOP] = (*VISIBLE[TOP], *CONTROLS)
        return self._design(merged, arguments=("-DSYNTHESIS",))
