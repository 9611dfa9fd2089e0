"""One build and one set of images, ready to be run by the harness again and again."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow.build import Build, FaultSite, SiteTable, memory_instance, netlist, site_table
from flow.build.images import code_bits, image_text
from flow.build.netlist import Netlist, image_path
from flow.errors import ClaimError, InputError
from flow.ir import Array, Graph, Kind
from flow.schedule import Plan, unit_cycles
from sim.runner import CompiledDesign, compile_design, simulate

HARNESS = Path(__file__).with_name("harness") / "accelerator_harness.sv"
BENCH = "sim.bench.accelerator_bench"
TOP = "accelerator_harness"
CAPACITY = 1 << 16  # input words a compiled harness holds, unless more are needed
NEVER = 0xFFFFFFFF  # the harness's cycle number for a word that never came
ALWAYS = 256  # chance in 256 per cycle to offer or to accept a word
TAIL = 64  # cycles without a word after the last that count as silence
VISIBLE = {
    "memory": ("words",),
    "fifo": ("high_water_q",),
    TOP: (
        *("start", "first", "images", "watchdog", "tail", "offer", "accept"),
        *("cfg_valid", "cfg_write", "cfg_memory", "cfg_address", "cfg_data", "cfg_read"),
        *("done", "extra_q", "protocol_q", "total_q", "detected"),
    ),
}  # module -> what the bench may touch; everything else stays free to be optimised


@dataclass(frozen=True, eq=False, slots=True)
class Results:
    """What the harness recorded: logits and classes (runs, images, ..), -1 where nothing came."""

    logits: Array
    classes: Array
    taken: Array  # (runs, images), cycle of each result from the first offered input word
    hung: NDArray[np.bool_]  # (runs,)
    detected: NDArray[np.bool_]  # (runs, images), whether some memory had reported by then
    summary: Mapping[str, Any]  # the bench's own counts


@dataclass(frozen=True, eq=False)
class Session:
    """The images ``x`` for the RTL of ``build``."""

    build: Build
    x: Array
    cache: Path
    simulator: str

    def __post_init__(self) -> None:
        edge = self.graph.input_edge
        x = self.x
        if x.shape[1:] != edge.shape or x.dtype.kind not in "iu" or not edge.type.contains(x):
            raise InputError(
                f"images of shape {x.shape[1:]} and type {x.dtype}: graph {self.graph.name!r} "
                f"takes integers {edge}; quantize them first"
            )
        if not len(x):
            raise InputError("no images; give at least one")

    @cached_property
    def graph(self) -> Graph:
        """The graph the build was made from."""
        return self.build.graph()

    @cached_property
    def plan(self) -> Plan:
        """The plan the build was made by."""
        return self.build.plan()

    @cached_property
    def net(self) -> Netlist:
        """The instances of the build."""
        return netlist(self.graph, self.plan)

    @cached_property
    def sites(self) -> SiteTable:
        """The fault sites of the build."""
        return site_table(self.graph, self.plan)

    def deposits(self, group: Iterable[FaultSite]) -> list[tuple[str, int, str]]:
        """Memory, word and mask in hexadecimal of flips that lie together; equal flips cancel.

        Raises:
            InputError: a site is no flip, or is not where this build has it.
        """
        masks: dict[tuple[str, int], int] = {}
        for site in group:
            if site.fault is not None and site.fault.kind is not Kind.FLIP:
                raise InputError(f"{site.fault}: only flips can be deposited; give a flip")
            try:
                known = self.sites.at(site.memory, site.word, site.bit)
            except (KeyError, IndexError) as error:
                raise InputError(
                    f"{site}: not in this build ({error}); use its own table"
                ) from None
            if known.fault != site.fault:
                raise InputError(f"{site}: this build has {known.fault} there; use its own table")
            key = (site.memory, site.word)
            masks[key] = masks.get(key, 0) ^ (1 << site.bit)
        return [(memory, word, f"{mask:x}") for (memory, word), mask in masks.items() if mask]

    def run(
        self,
        runs: Sequence[Sequence[tuple[str, int, str]]],
        *,
        offer: int = ALWAYS,
        accept: int = ALWAYS,
        config: Sequence[Mapping[str, Any]] = (),
    ) -> Results:
        """Stream all images once per entry of ``runs``, with its deposits in place.

        Raises:
            ClaimError: the bench failed: a deposit did not take or was not restored.
        """
        with tempfile.TemporaryDirectory(prefix="accelerator.") as name:
            work = Path(name)
            job = self.job() | {"offer": offer, "accept": accept}
            job |= {"config": list(config), "runs": list(runs)}
            self.simulate(job, BENCH, work=work)
            summary = self.summary(work)
            text = (work / "results.txt").read_bytes()
        logits, classes, taken, detected = self.decode(text, len(runs) * len(self.x))
        shape = (len(runs), len(self.x))
        never: NDArray[np.bool_] = (classes < 0).reshape(shape)
        return Results(
            logits=logits.reshape(*shape, -1),
            classes=classes.reshape(shape),
            taken=taken.reshape(shape),
            hung=np.asarray(never.any(axis=1)),
            detected=detected.reshape(shape),
            summary=summary,
        )

    def simulate(self, job: Mapping[str, Any], bench: str, *, work: Path) -> None:
        """Run ``bench`` on the images in the folder ``work``."""
        (work / "images").symlink_to((self.build.directory / "images").resolve())
        (work / "stimulus.hex").write_text(image_text(self._stimulus))
        (work / "job.json").write_text(json.dumps(job))
        simulate(self._compiled, bench, work=work, plusargs=[f"+words={len(self._stimulus)}"])

    def summary(self, work: Path) -> dict[str, Any]:
        """What the bench left in the folder ``work``.

        Raises:
            ClaimError: the bench found something wrong.
        """
        found: dict[str, Any] = json.loads((work / "summary.json").read_text())
        if "error" in found:
            raise ClaimError(f"{self.build.directory}: {found['error']}")
        return found

    @cached_property
    def _compiled(self) -> CompiledDesign:
        return self._design(VISIBLE)

    def _design(
        self,
        public: Mapping[str, Sequence[str]],
        *,
        fast: bool = True,
        arguments: Sequence[str] = (),
    ) -> CompiledDesign:
        """The build's RTL in the harness, with the signals ``public`` by module in sight."""
        return compile_design(
            [*self.build.sources(), HARNESS],
            TOP,
            parameters=self._parameters,
            public=public,
            cache=self.cache,
            simulator=self.simulator,
            timing=True,
            fast=fast,
            arguments=arguments,
        )

    @property
    def _parameters(self) -> dict[str, int | str]:
        """Of the harness."""
        return {
            "InBits": self.net.input.bits,
            "OutBits": self.net.output.bits,
            "CfgBits": self.net.cfg_bits,
            "CfgMemoryBits": self.net.cfg_memory_bits,
            "CfgAddressBits": self.net.cfg_address_bits,
            "Memories": len(self.net.memories),
            "Beats": len(self._stimulus) // len(self.x),
            "Capacity": max(CAPACITY, 1 << (len(self._stimulus) - 1).bit_length()),
        }

    @cached_property
    def _stimulus(self) -> NDArray[np.uint8]:
        """Bits of the input words, (images * beats, word bits)."""
        kind = self.graph.input_edge.type
        codes = kind.encode(self.x.astype(np.int64)).reshape(-1, self.net.input.lanes)
        return code_bits(codes, kind.bits)

    def job(self) -> dict[str, Any]:
        """What every bench of the harness reads."""
        busy = sum(unit_cycles(self.graph, self.plan.folding).values())
        return {
            "memories": {
                memory.name: {
                    "instance": memory_instance(memory.name),
                    "image": image_path(memory.name),
                }
                for memory in self.net.memories
            },
            "fifos": {u.name: u.name for u in self.net.units if u.module == "fifo"},
            "first": 0,
            "images": len(self.x),
            "watchdog": 256 * (busy + len(self._stimulus) // len(self.x)) + 1000,
            "tail": TAIL,
        }

    def decode(self, text: bytes, owed: int) -> tuple[Array, Array, Array, NDArray[np.bool_]]:
        """Fixed-width lines, ``cycle word detected`` in hexadecimal, to integers.

        Logits (owed, classes), class, cycle and detection (owed,); -1 for what never came.
        """
        logit = self.graph.type_of(self.graph.logits)
        classes = self.graph.edge(self.graph.logits).elements
        bits = self.net.output.bits
        digits = -(-bits // 4)
        lines = np.frombuffer(text, np.uint8).reshape(-1, 8 + 1 + digits + 3)
        if len(lines) != owed:
            raise ClaimError(f"{len(lines)} results where {owed} are owed")
        nibbles = np.where(lines > ord("9"), lines - (ord("a") - 10), lines - ord("0"))
        cycle = _number(_bits(nibbles[:, :8]))
        word = _bits(nibbles[:, 9 : 9 + digits])
        span = classes * logit.bits
        codes = _number(word[:, :span].reshape(-1, classes, logit.bits))
        chosen = _number(word[:, span:bits])
        never = cycle == NEVER
        return (
            np.where(never[:, None], -1, logit.decode(codes)),
            np.where(never, -1, chosen),
            np.where(never, -1, cycle),
            nibbles[:, 9 + digits + 1] == 1,
        )


def _bits(nibbles: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bits of big-endian hexadecimal digits, bit 0 first."""
    spread = (nibbles[:, ::-1, None] >> np.arange(4, dtype=np.uint8)) & 1
    return spread.astype(np.uint8).reshape(len(nibbles), -1)


def _number(bits: NDArray[np.uint8]) -> Array:
    """The last axis, bit 0 first, as one integer."""
    weights = np.int64(1) << np.arange(bits.shape[-1], dtype=np.int64)
    total: Array = (bits * weights).sum(axis=-1, dtype=np.int64)
    return total
