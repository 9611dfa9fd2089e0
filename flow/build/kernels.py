"""The accelerator as HLS C++: parameters, tables and instances, no logic.

Units, streams and parameters are those of the RTL netlist; a FIFO becomes the depth of a stream.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flow.build.netlist import TOP, Netlist, Unit, netlist
from flow.errors import InputError
from flow.ir import Graph
from flow.schedule import Plan

DEPTH = 2  # of a stream without a FIFO: what the vendor's tool gives it by default
WIDEST = 1 << 15  # bits of the vendor's integers
FILES = ("accelerator.hpp", "images.hpp", "accelerator.cpp", "simulation.cpp")
KERNELS = ("matvec", "threshold", "argmax", "width")
_NOTE = "// Generated: parameters, tables and instances only."


@dataclass(frozen=True, slots=True)
class Channel:
    """One stream between two processes, or a port of the top."""

    name: str
    bits: int
    depth: int


@dataclass(frozen=True, slots=True)
class Process:
    """One kernel instance, with the channel it reads and the channel it writes."""

    unit: Unit
    source: Channel
    sink: Channel
    words: int | None  # narrow words per vector, for a width converter


def has_kernels(net: Netlist) -> bool:
    """Whether the HLS library has every unit of ``net``."""
    return {unit.module for unit in net.units} <= {*KERNELS, "fifo"}


def emit_kernels(graph: Graph, plan: Plan, images: Mapping[str, Sequence[int]]) -> dict[str, str]:
    """The text of every file of :data:`FILES`, for the folder ``hls`` of a build.

    ``accelerator.cpp`` is the vendor's dataflow region, ``simulation.cpp`` the same processes on
    the same streams as threads of the host. ``images`` has the words of each memory by its name
    ``<node>.<memory>``, as the RTL reads them.

    Raises:
        InputError: a node needs what the library does not have, or a word is too wide.
    """
    net = netlist(graph, plan)
    processes = _processes(net)
    for process in processes:
        _check(process)
    return {
        "accelerator.hpp": _header(graph, net, processes),
        "images.hpp": _tables(net, images),
        "accelerator.cpp": _region(processes),
        "simulation.cpp": _simulation(processes),
    }


def _processes(net: Netlist) -> list[Process]:
    """Every unit but the FIFOs, whose depth goes to the stream they stand in."""
    processes = []
    source = Channel("in", net.input.bits, DEPTH)
    for place, unit in enumerate(net.units):
        if unit.module == "fifo":
            continue
        after = net.units[place + 1] if place + 1 < len(net.units) else None
        depth = int(after.parameters["Depth"]) if after and after.module == "fifo" else DEPTH
        name = f"{unit.name.removeprefix('u_')}_out" if after else "out"
        sink = Channel(name, unit.sinks[0].bits, depth)
        processes.append(Process(unit, source, sink, _narrow_words(net, place)))
        source = sink
    return processes


def _narrow_words(net: Netlist, place: int) -> int | None:
    unit = net.units[place]
    if unit.module != "width":
        return None
    reader = next(u for u in net.units[place:] if u.module == "matvec")
    lanes = min(int(unit.parameters["InLanes"]), int(unit.parameters["OutLanes"]))
    return int(reader.parameters["Columns"]) // lanes


def _check(process: Process) -> None:
    unit, memory = process.unit, process.unit.memory
    bits = max(process.source.bits, process.sink.bits, memory.bits if memory else 0)
    if bits >= WIDEST:
        raise InputError(
            f"unit {unit.name!r}: words of {bits} bits where the HLS integers hold {WIDEST - 1}; "
            "lower pe or simd"
        )
    if process.sink.depth < 1:
        raise InputError(f"stream after {unit.name!r}: depth 0 holds no word; plan 1 or more")


def _header(graph: Graph, net: Netlist, processes: Sequence[Process]) -> str:
    edge, last, first = graph.input_edge, net.units[-1].parameters, net.input.lanes
    wide = [c.bits for p in processes for c in (p.source, p.sink)]
    wide += [memory.bits for memory in net.memories]
    constants = {
        "InputElements": edge.elements,
        "InputBits": edge.type.bits,
        "InputLanes": first,
        "Classes": last["Classes"],
        "LogitBits": last["LogitBits"],
        "LogitSigned": last["LogitSigned"],
    }
    lines = [f"constexpr int {name} = {value};" for name, value in constants.items()]
    declared = [f"{_prototype(process)};" for process in processes]
    return "\n".join(
        [
            "#pragma once",
            _NOTE,
            f"#define AP_INT_MAX_W {-(-(max(wide) + 1) // 1024) * 1024}",
            "",
            '#include "ap_int.h"',
            '#include "hls_stream.h"',
            "",
            *lines,
            f"using InputWord = ap_uint<{processes[0].source.bits}>;",
            f"using OutputWord = ap_uint<{processes[-1].sink.bits}>;",
            "",
            *declared,
            "",
            f"{_TOP_PROTOTYPE};",
            "",
        ]
    )


_TOP_PROTOTYPE = (
    f"void {TOP}(hls::stream<InputWord>& in, hls::stream<OutputWord>& out, int vectors)"
)


def _prototype(process: Process) -> str:
    source, sink = process.source.bits, process.sink.bits
    return (
        f"void {process.unit.name}(hls::stream<ap_uint<{source}>>& in, "
        f"hls::stream<ap_uint<{sink}>>& out, int vectors)"
    )


def _tables(net: Netlist, images: Mapping[str, Sequence[int]]) -> str:
    lines = ["#pragma once", _NOTE, "", '#include "ap_int.h"', ""]
    for memory in net.memories:
        words = images[memory.name]
        if len(words) != memory.words:
            raise ValueError(f"{memory.name}: {len(words)} words where {memory.words} are wanted")
        lines.append(
            f"static const ap_uint<{memory.bits}> {_table(memory.name)}[{len(words)}] = {{"
        )
        lines += [f"    {_literal(word, memory.bits)}," for word in words]
        lines += ["};", ""]
    return "\n".join(lines)


def _literal(word: int, bits: int) -> str:
    """Wide words as text, the one form of a wide constant that vendor and host headers share."""
    return f"0x{word:x}ULL" if bits <= 64 else f'ap_uint<{bits}>("{word:x}", 16)'


def _table(memory: str) -> str:
    return memory.replace(".", "_")


def _region(processes: Sequence[Process]) -> str:
    stems = sorted({process.unit.module for process in processes})
    lines = [
        _NOTE,
        "",
        '#include "accelerator.hpp"',
        '#include "images.hpp"',
        *(f'#include "{stem}.hpp"' for stem in stems),
        "",
    ]
    for process in processes:
        lines += [f"{_prototype(process)} {{", f"  {_instance(process)};", "}", ""]
    lines += [f"{_TOP_PROTOTYPE} {{", "#pragma HLS DATAFLOW"]
    for process in processes[:-1]:
        name, bits, depth = process.sink.name, process.sink.bits, process.sink.depth
        lines.append(f'  hls::stream<ap_uint<{bits}>> {name}("{name}");')
        lines.append(f"#pragma HLS STREAM variable={name} depth={depth}")
    lines += [
        f"  {process.unit.name}({process.source.name}, {process.sink.name}, vectors);"
        for process in processes
    ]
    return "\n".join([*lines, "}", ""])


def _instance(process: Process) -> str:
    unit = process.unit
    names = ", ".join(f"/*{name}*/ {value}" for name, value in unit.parameters.items())
    arguments = ["in", "out"]
    arguments += [_table(unit.memory.name)] if unit.memory else []
    arguments += [str(process.words)] if process.words is not None else []
    return f"{unit.module}<{names}>({', '.join([*arguments, 'vectors'])})"


def _simulation(processes: Sequence[Process]) -> str:
    lines = [
        _NOTE,
        "",
        '#include "simulation.hpp"',
        "",
        "void simulate(dataflow& region, hls::stream<InputWord>& in, hls::stream<OutputWord>& out,",
        "              int vectors) {",
    ]
    for process in processes[:-1]:
        name, bits, depth = process.sink.name, process.sink.bits, process.sink.depth
        lines.append(f'  hls::stream<ap_uint<{bits}>> {name}("{name}", {depth});')
    lines += [
        f'  region.process("{p.unit.name}", '
        f"[&] {{ {p.unit.name}({p.source.name}, {p.sink.name}, vectors); }});"
        for p in processes
    ]
    return "\n".join([*lines, "  region.finish();", "}", ""])
