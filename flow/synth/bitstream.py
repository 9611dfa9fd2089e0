"""Yosys, nextpnr and a packer turn a build into a bitstream for a board."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from flow.atomic import whole_directory, write_atomic, write_json
from flow.build.board import write_board
from flow.build.boards import Board
from flow.build.manifest import Build, load_build, sha256
from flow.build.netlist import Netlist, netlist
from flow.build.smoothing import Smoother
from flow.schedule.cells import FAMILIES as PLANNED
from flow.schedule.cells import check_style
from flow.synth.capacity import too_small
from flow.synth.families import family_of
from flow.synth.family import Family
from flow.synth.memories import check_memories
from flow.synth.tools import Tool, failure, find, run, yosys

MANIFEST = "manifest.json"
STAGES = 2  # synthesis and packing; place and route is one for each seed
SCRIPT, INFERRED, TIMING = "synth.ys", "inferred.json", "timing.json"
YOSYS_LOG, NEXTPNR_LOG, PACK_LOG = "yosys.log", "nextpnr.log", "pack.log"
WARNING = re.compile(r"^(?:Warning: .*|rtl/.*: warning: .*)$", re.MULTILINE)


def synthesise(
    build_dir: Path,
    board: Board,
    out_dir: Path,
    *,
    seed: int = 1,
    seeds: int = 1,
    dsp: bool = True,
    smoother: Smoother | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Fill ``out_dir`` with the bitstream of ``build_dir`` on ``board``, whole or not at all.

    Beside the bitstream lie its sources, the tools' logs and ``manifest.json``, written last and
    returned: device, seed, tool versions, cells, what each memory became, utilisation, Fmax per
    clock in MHz, the command that programs the board, and SHA-256 of every file but the logs.
    Equal inputs give an equal bitstream. ``dsp=False`` keeps multipliers in look-up tables. Place
    and route is done with ``seeds`` seeds from ``seed`` on, and the one with the fastest
    slowest clock is kept, of equals the first; ``seeds`` of the record has the MHz of each. With a
    ``smoother`` the board answers with votes under noise.

    Raises:
        InputError: the build is damaged, or the board cannot carry this network.
        ClaimError: a tool failed, the design does not fit (by how much, and which unit takes
            most) or misses the board's clock; the line says where the log is, which is kept beside
            ``out_dir``.
    """
    family = family_of(board.family, board=board.name)
    step = progress or (lambda done, total: None)
    tools = {
        "synthesis": yosys(),
        "place and route": find(family.nextpnr),
        "packing": find(family.packer),
    }
    build = load_build(build_dir)
    check_style(build.plan().memory_style, PLANNED[board.family])
    keep = out_dir.with_name(f"{out_dir.name}.failed.log")
    keep.unlink(missing_ok=True)
    with whole_directory(out_dir, mark=MANIFEST) as work:
        write_board(build, board, work, smoother=smoother)
        step(0, STAGES + seeds)
        net = netlist(build.graph(), build.plan())
        memories = synthesise_netlist(net, board, work, tool=tools["synthesis"], keep=keep, dsp=dsp)
        step(1, STAGES + seeds)
        placer, reached = tools["place and route"], {}
        tried = range(seed, seed + seeds)
        for one, mhz in _place(placer, board, net, work=work, keep=keep, seeds=tried):
            reached[one] = mhz
            step(1 + len(reached), STAGES + seeds)
        _check_clock(placer, board, work=work, keep=keep)
        arguments = [*board.pack, *_fill(family.pack, board, family)]
        run(tools["packing"], arguments, work=work, log=PACK_LOG, keep=keep)
        for name in _fill((family.layout, "{top}.json"), board, family):
            (work / name).unlink()  # large, and made again
        best = max(reached, key=reached.__getitem__)
        record = _record(build, board, best, tools, work) | {"memories": memories, "dsp": dsp}
        record["smoothing"] = None if smoother is None else dict(smoother.terms)
        record["seeds"] = {str(one): round(mhz, 2) for one, mhz in reached.items()}
        write_json(work / MANIFEST, record)
    step(STAGES + seeds, STAGES + seeds)
    return record


def yosys_script(
    board: Board, family: Family, sources: list[str], *, slang: bool, dsp: bool = True
) -> str:
    """The synthesis script; ``slang`` chooses the front end, which native Yosys may lack."""
    reader = "read_slang --threads 1" if slang else "read_verilog -sv"  # one thread: WebAssembly
    options = [family.synth, *board.synth, family.blocks if dsp else family.tables]
    synth = " ".join([*filter(None, options), f"-top {board.top}"])
    mapping = [f"{synth} -run map_ram: -json {board.top}.json"]
    if family.map_luts:
        mapping = [
            f"{synth} -run map_ram:map_luts",
            family.map_luts,
            "clean",
            f"{synth} -run map_cells: -json {board.top}.json",
        ]
    return "\n".join(
        [
            f"{reader} {' '.join(sources)}",
            f"hierarchy -check -top {board.top}",
            f"{synth} -run begin:map_ram",
            "select -assert-none t:$dlatch t:$adlatch t:$dlatchsr",
            "select t:$mem_v2",
            f"write_json -selected {INFERRED}",
            "select -clear",
            *mapping,
            "check -assert",
            "tee -q -o cells.json stat -json",
            "",
        ]
    )


def synthesise_netlist(
    net: Netlist, board: Board, work: Path, *, tool: Tool, keep: Path, dsp: bool = True
) -> dict[str, dict[str, int]]:
    """Yosys in a folder filled by ``write_board``: ``<top>.json``, and the cells of each memory.

    Raises:
        ClaimError: Yosys failed, found a latch or a loop, or lost a memory image.
    """
    sources = sorted(str(path.relative_to(work)) for path in (work / "rtl").glob("*.sv"))
    family = family_of(board.family, board=board.name)
    script = yosys_script(board, family, sources, slang=tool.name != "yosys", dsp=dsp)
    write_atomic(work / SCRIPT, script)
    pyosys = tool.name == "pyosys"
    options = [SCRIPT, YOSYS_LOG] if pyosys else ["-q", "-l", YOSYS_LOG, "-s", SCRIPT]
    run(tool, options, work=work, log=YOSYS_LOG, keep=keep)
    memories = check_memories(net, work / INFERRED, work / f"{board.top}.json", family)
    (work / INFERRED).unlink()
    return memories


def _place(
    tool: Tool, board: Board, net: Netlist, *, work: Path, keep: Path, seeds: Iterable[int]
) -> Iterator[tuple[int, float]]:
    """Place and route with each seed: the seed and the MHz of the slowest clock. In the end
    ``work`` holds what the best seed made."""
    family, mapped = family_of(board.family, board=board.name), f"{board.top}.json"
    files = ["--json", mapped, *_fill(family.place, board, family), "--report", TIMING]
    goal = ["--freq", str(board.clock_hz / 1e6), "--timing-allow-fail"]
    made = [*_fill((family.layout,), board, family), TIMING, NEXTPNR_LOG]
    best, beside = -1.0, work / "best"
    beside.mkdir()
    for seed in seeds:
        (work / NEXTPNR_LOG).unlink(missing_ok=True)
        run(
            tool,
            [*board.place, *files, *goal, "--seed", str(seed)],
            work=work,
            log=NEXTPNR_LOG,
            keep=keep,
            explain=lambda log: too_small(log, net, work / mapped, family, board.device),
        )
        reached = min(timing["achieved"] for timing in _timing(work)["fmax"].values())
        if reached > best:  # the first of equals
            best = reached
            for name in made:
                (work / name).replace(beside / name)
        yield seed, reached
    for name in made:
        (beside / name).replace(work / name)
    beside.rmdir()


def _check_clock(tool: Tool, board: Board, *, work: Path, keep: Path) -> None:
    """The clock is judged by us, not by nextpnr, so that a miss is reported with its number."""
    wanted = board.clock_hz / 1e6
    for clock, timing in _timing(work)["fmax"].items():
        if timing["achieved"] < wanted:
            missed = (
                f"{clock} reaches {timing['achieved']:.2f} MHz where {wanted:.2f} is wanted; "
                "fold more (smaller pe or simd) or try another seed"
            )
            raise failure(tool.name, work / NEXTPNR_LOG, keep=keep, reason=missed)


def _fill(templates: tuple[str, ...], board: Board, family: Family) -> list[str]:
    """A family's arguments or files for ``board``."""
    names = {"top": board.top, "constraints": board.constraints.name}
    names["bitstream"] = f"{board.name}{family.suffix}"
    return [template.format(**names) for template in templates]


def _record(
    build: Build, board: Board, seed: int, tools: dict[str, Tool], work: Path
) -> dict[str, Any]:
    (bitstream,) = _fill(("{bitstream}",), board, family_of(board.family, board=board.name))
    timing = _timing(work)
    logs = "\n".join((work / name).read_text() for name in (YOSYS_LOG, NEXTPNR_LOG))
    return {
        "format": 1,
        "board": board.name,
        "device": board.device,
        "graph_digest": build.graph_digest,
        "plan_digest": build.plan_digest,
        "seed": seed,
        "tools": {stage: f"{tool.name} {tool.version}" for stage, tool in tools.items()},
        "bitstream": bitstream,
        "program": board.program.format(bitstream=bitstream),
        "cells": json.loads((work / "cells.json").read_text())["design"]["num_cells_by_type"],
        "utilisation": {
            cell: count for cell, count in timing["utilization"].items() if count["used"]
        },
        "fmax_mhz": {
            clock: {"achieved": t["achieved"], "wanted": board.clock_hz / 1e6}
            for clock, t in timing["fmax"].items()
        },
        "warnings": sorted(set(WARNING.findall(logs))),
        "files": {
            str(path.relative_to(work)): sha256(path)
            for path in sorted(work.rglob("*"))
            if path.is_file() and path.suffix != ".log"  # logs hold times
        },
    }


def _timing(work: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((work / TIMING).read_text())
    return report
