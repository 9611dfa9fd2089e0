"""Simulate a board's top module at its pins: the very sources that become its bitstream."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flow.build import FaultSite, SiteTable, site_table
from flow.build.board import FORMAT, RECORD
from flow.build.images import image_bits, image_text
from flow.errors import ClaimError, InputError
from flow.graphfile import digest
from flow.ir import Array, Fault, Graph
from flow.schedule import load_plan
from sim.board_answers import Answers, answers
from sim.host import Command, Status
from sim.runner import CompiledDesign, compile_design, simulate

BENCH = "sim.bench.board_bench"
TRIED = 64  # faults per memory among which one that shows is looked for
STRIDE = 2_654_435_761  # a prime: multiples of it visit bits all over a memory
UNUSED_COMMAND = 0x7F
PRESSED = 30  # cycles the reset button is held


def simulate_board(
    board_dir: Path,
    graph: Graph,
    x: Array,
    *,
    cache: Path,
    simulator: str = "verilator",
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Talk to the board top in ``board_dir`` over its serial pins; everything must equal ``graph``,
    or on a smoothed board the votes of ``graph`` under the same noise.

    All images ``x`` are run. Then in each memory one stored bit is flipped through the protocol,
    read back, an image run, and the word restored; constants are read, and a write to them must be
    refused. So must an unknown command, the reset button must keep the memories, and the first
    image must come out as at the beginning.

    Returns:
        ``images``, ``identification``, ``latency_cycles`` (every image took exactly what the plan
        says), ``smoothing`` and ``faults`` (per memory that is written: the fault, where it lies,
        the image, and whether its logits moved).

    Raises:
        InputError: ``board_dir`` holds no board of ``graph``, or a changed memory image.
        ClaimError: an answer differs from the graph's, or the bench failed.
    """
    if not len(x):
        raise InputError("no images; give at least one")
    step = progress or (lambda done, total: None)
    record = _record(board_dir, graph)
    plan = load_plan(board_dir / "plan.json")
    sites = site_table(graph, plan)
    _check_images(board_dir, graph, sites)
    probes = _probes(graph, x, sites)
    step(0, 2)
    design = compile_design(
        sorted((board_dir / "rtl").glob("*.sv")),
        record["top"],
        cache=cache,
        public={record["top"]: sorted(record["ports"].values())},
        simulator=simulator,
    )
    step(1, 2)
    memories = [memory["name"] for memory in record["memories"]]
    steps = _steps(graph, x, probes, memories, parity=plan.parity)
    expected = answers(graph, plan, record["smoothing"])
    identification, *replies = _talk(design, record, board_dir, steps, expected.latency)
    step(2, 2)
    _check_replies(replies, expected, x, probes, memories, parity=plan.parity)
    return {
        "images": len(x),
        "identification": identification,
        "latency_cycles": expected.latency,
        "smoothing": record["smoothing"],
        "faults": [probe.record() for probe in probes if not probe.site.configuration],
    }


@dataclass(frozen=True, slots=True)
class _Probe:
    """One stored bit to be flipped on the board, and the image to run meanwhile."""

    site: FaultSite
    fault: Fault
    word: int  # as the image file has it
    bits: int  # of a word
    image: int
    shows: bool

    def steps(self, memory: int, run: dict[str, Any], *, parity: bool) -> list[dict[str, Any]]:
        """Read, flip, read, run, restore, read; with ``parity`` also what is reported after the run
        and at the end. Constants are read, and a request to write is refused."""
        place = [memory, self.site.word]
        if self.site.configuration:
            return [{"read": place}, {"garble": int(Command.WRITE)}]
        read, flipped = {"read": place}, self.word ^ (1 << self.site.bit)
        flip, restore = ({"write": [*place, f"{word:x}"]} for word in (flipped, self.word))
        told: list[dict[str, Any]] = [{"detected": True}] if parity else []
        return [read, flip, read, run, *told, restore, read, *told]

    def check(
        self, replies: Sequence[Any], expected: Answers, x: Array, memory: int, *, parity: bool
    ) -> None:
        """Compare the replies to :meth:`steps`."""
        if self.site.configuration:
            before, refused = replies
            self._holds(before, self.word, "at first")
            if refused != Status.UNKNOWN_COMMAND:
                raise ClaimError(f"board: status {refused} for a write to constants")
            return
        if parity:
            before, _, written, result, told, _, after, last = replies
            if (told, last) != ([memory], []):
                raise ClaimError(
                    f"{self.site.memory} word {self.site.word}: its flip is reported by memories "
                    f"{told} and, once repaired, by {last}, not by [{memory}] and []"
                )
        else:
            before, _, written, result, _, after = replies
        flipped = self.word ^ (1 << self.site.bit)
        for when, reply, wanted in (
            ("at first", before, self.word),
            ("after the flip", written, flipped),
            ("after it was restored", after, self.word),
        ):
            self._holds(reply, wanted, when)
        faulty = expected.next(x[self.image], [self.fault])
        _compare(result, faulty, f"image {self.image} with {self.fault}")

    def _holds(self, reply: str, wanted: int, when: str) -> None:
        if int(reply, 16) % (1 << self.bits) != wanted:  # above the word come other bits
            raise ClaimError(
                f"{self.site.memory} word {self.site.word}: the board has {reply} {when}, "
                f"not {wanted:x}"
            )

    def record(self) -> dict[str, Any]:
        site = self.site
        place = {"memory": site.memory, "word": site.word, "bit": site.bit}
        return {"fault": str(self.fault), **place, "image": self.image, "shows": self.shows}


def _steps(
    graph: Graph, x: Array, probes: Sequence[_Probe], memories: Sequence[str], *, parity: bool
) -> list[dict[str, Any]]:
    """What ``sim/bench/board_bench.py`` is to do; :func:`_check_replies` follows this order."""
    codes = graph.input_edge.type.encode(x).reshape(len(x), -1)
    images = [{"run": image} for image in codes.tolist()]
    steps: list[dict[str, Any]] = [*images, {"garble": UNUSED_COMMAND}, {"button": PRESSED}]
    for probe in probes:
        memory = memories.index(probe.site.memory)
        steps += probe.steps(memory, images[probe.image], parity=parity)
    return [*steps, images[0]]


def _check_replies(
    replies: Sequence[Any],
    expected: Answers,
    x: Array,
    probes: Sequence[_Probe],
    memories: Sequence[str],
    *,
    parity: bool,
) -> None:
    for number, reply in enumerate(replies[: len(x)]):
        _compare(reply, expected.next(x[number]), f"image {number}")
        if reply["cycles"] != expected.latency:
            raise ClaimError(
                f"image {number}: {reply['cycles']} cycles where {expected.latency} are planned"
            )
    refused, _, *rest = replies[len(x) :]
    if refused != Status.UNKNOWN_COMMAND:
        raise ClaimError(f"board: status {refused} for command {UNUSED_COMMAND:#x}")
    expected.reset()
    for probe in probes:
        memory = memories.index(probe.site.memory)
        count = len(probe.steps(memory, {}, parity=parity))
        mine, rest = rest[:count], rest[count:]
        probe.check(mine, expected, x, memory, parity=parity)
    _compare(rest[-1], expected.next(x[0]), "image 0 after the faults")


def _probes(graph: Graph, x: Array, sites: SiteTable) -> list[_Probe]:
    """For each memory the first flip, of some spread over it, that moves a logit of an image."""
    clean = graph.evaluate_all(x)[graph.logits]
    probes = []
    for layout in sites.layouts:
        words = image_bits(graph.node(layout.node).op, layout)
        total = layout.words * layout.bits
        for number in range(TRIED):
            word, bit = divmod(number * STRIDE % total, layout.bits)
            site = sites.at(layout.name, word, bit)
            if site.fault is None:
                continue
            moved = graph.evaluate_all(x, [site.fault])[graph.logits] != clean
            image = int(moved.any(axis=1).argmax())
            stored = int.from_bytes(np.packbits(words[word], bitorder="little").tobytes(), "little")
            shows = bool(moved.any())
            probe = _Probe(site, site.fault, stored, layout.bits, image, shows)
            if probe.shows:
                break
        probes.append(probe)
    return probes


def _check_images(board_dir: Path, graph: Graph, sites: SiteTable) -> None:
    for layout in sites.layouts:
        path = board_dir / "images" / f"{layout.name}.hex"
        if not path.exists() or path.read_text() != image_text(
            image_bits(graph.node(layout.node).op, layout)
        ):
            raise InputError(f"{path}: not the image of graph {graph.name!r}; synthesise again")


def _record(board_dir: Path, graph: Graph) -> dict[str, Any]:
    path = board_dir / RECORD
    try:
        record: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; make it with `bitproof synth`") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: not a board record ({error}); synthesise again") from None
    if record.get("format") != FORMAT:
        raise InputError(f"{path}: not a board record of format {FORMAT}; synthesise again")
    if record.get("graph_digest") != digest(graph):
        raise InputError(f"{path}: made from another graph than {graph.name!r}; synthesise again")
    return record


def _talk(
    design: CompiledDesign,
    record: dict[str, Any],
    board_dir: Path,
    steps: list[dict[str, Any]],
    latency: int,
) -> list[Any]:
    """The identification and one reply per step; the work folder stays if the bench fails."""
    work = Path(tempfile.mkdtemp(prefix="board."))
    (work / "images").symlink_to((board_dir / "images").resolve())
    job = {
        "period_ps": 2 * round(1e12 / record["clock_hz"] / 2),  # in two equal halves
        "bit_ps": round(1e12 / record["baud"]),
        "ports": record["ports"],
        "button_active_low": record["button_active_low"],
        "leds": record["leds"],
        "digest": record["graph_digest"],
        "latency_cycles": latency,
        "steps": steps,
    }
    (work / "job.json").write_text(json.dumps(job))
    simulate(design, BENCH, work=work)
    replies: list[Any] = json.loads((work / "replies.json").read_text())
    shutil.rmtree(work)
    return replies


def _compare(reply: dict[str, Any], expected: tuple[int, list[int]], what: str) -> None:
    label, logits = expected
    if reply["logits"] != logits or reply["label"] != label:
        raise ClaimError(
            f"{what}: class {reply['label']} with logits {reply['logits']} on the board, class "
            f"{label} with {logits} in the graph"
        )
