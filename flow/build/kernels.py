"""The accelerator as HLS C++: parameters, tables and instances, no logic.

Units, streams and parameters are those of the RTL netlist; a FIFO becomes the depth of a stream.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from flow.build.axi import axi_shape
from flow.build.images import MemoryLayout
from flow.build.netlist import SLICE, TOP, Netlist, Unit, netlist
from flow.build.processes import Channel, Process, processes
from flow.ir import Graph
from flow.schedule import MemoryStyle, Plan

FILES = ("accelerator.hpp", "images.hpp", "accelerator.cpp", "simulation.cpp")
STORAGE = {
    MemoryStyle.BLOCK: "type=ram_1p impl=bram",
    MemoryStyle.DISTRIBUTED: "type=ram_1p impl=lutram",
    MemoryStyle.ROM: "type=rom_1p impl=lutram",
}  # how AMD's tool is told
_NOTE = "// Generated: parameters, tables and instances only."


def emit_kernels(graph: Graph, plan: Plan, images: Mapping[str, Sequence[int]]) -> dict[str, str]:
    """The text of every file of :data:`FILES`, for the folder ``hls`` of a build.

    ``accelerator.cpp`` is the vendor's dataflow region, ``simulation.cpp`` the same processes on
    the same streams as threads of the host. ``images`` has the words of each memory by its name
    ``<node>.<memory>``, as the RTL reads them.

    Raises:
        InputError: a node needs what the library does not have, or a word is too wide.
    """
    net = netlist(graph, plan)
    made = processes(net)
    return {
        "accelerator.hpp": _header(graph, net, made),
        "images.hpp": _tables(net, made, images),
        "accelerator.cpp": _region(net, made),
        "simulation.cpp": _simulation(made),
    }


def _header(graph: Graph, net: Netlist, made: Sequence[Process]) -> str:
    edge, last, first = graph.input_edge, net.units[-1].parameters, net.input.lanes
    wide = [c.bits for p in made for c in (*p.sources, *p.sinks)]
    wide += [memory.bits for memory in net.memories]
    wide += [p.constants.bits for p in made if p.constants is not None]
    axi = axi_shape(net, graph)
    wide += [8 * axi.bus * axi.words, 8 * axi.result]
    constants = {
        "Memories": len(net.memories),
        "InputElements": edge.elements,
        "InputBits": edge.type.bits,
        "InputLanes": first,
        "Classes": last["Classes"],
        "LogitBits": last["LogitBits"],
        "LogitSigned": last["LogitSigned"],
    }
    lines = [f"constexpr int {name} = {value};" for name, value in constants.items()]
    declared = [f"{_prototype(process)};" for process in made]
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
            f"using InputWord = ap_uint<{net.input.bits}>;",
            f"using OutputWord = ap_uint<{net.output.bits}>;",
            "",
            *declared,
            "",
            f"{_CONFIGURE};",
            f"{_REPORT};",
            "",
            f"{_TOP_PROTOTYPE};",
            "",
        ]
    )


_TOP_PROTOTYPE = (
    f"void {TOP}(hls::stream<InputWord>& in, hls::stream<OutputWord>& out, int vectors)"
)
_CONFIGURE = """\
void configure(int access, int memory, int address, int part, const ap_uint<32>& value,
               ap_uint<32>& answer)"""
_REPORT = "void report(int memory, ap_uint<32>& told)"


def _prototype(process: Process) -> str:
    ends = [*_named("in", process.sources), *_named("out", process.sinks)]
    streams = [f"hls::stream<ap_uint<{channel.bits}>>& {name}" for name, channel in ends]
    return f"void {process.unit.name}({', '.join([*streams, 'int vectors'])})"


def _named(end: str, channels: Sequence[Channel]) -> list[tuple[str, Channel]]:
    """The ports of one end of a process, numbered where there are several."""
    if len(channels) == 1:
        return [(end, channels[0])]
    return [(f"{end}{place}", channel) for place, channel in enumerate(channels)]


def _tables(net: Netlist, made: Sequence[Process], images: Mapping[str, Sequence[int]]) -> str:
    lines = ["#pragma once", _NOTE, "", '#include "ap_int.h"', ""]
    for memory in net.memories:
        found = len(images[memory.name])
        if found != memory.words:
            raise ValueError(f"{memory.name}: {found} words where {memory.words} are wanted")
    for unit in net.units:
        for name, memories in _stored(unit).items():
            words = [images[memory.name] for memory in memories]
            kind = "" if net.writable else "const "
            if name == memories[0].name:
                lines += _words(name, memories[0].bits, words[0], kind=kind)
            else:
                lines += _lanes(name, memories[0].bits, words, kind=kind)
        if unit.memories:
            lines += [f"static ap_uint<1> {_detected(unit)}{_flags(unit)} = {{}};", ""]
    for table in (process.constants for process in made):
        if table is not None:
            lines += _words(table.name, table.bits, table.words, kind="const ")
    return "\n".join(lines)


def _words(name: str, bits: int, words: Sequence[int], *, kind: str = "") -> list[str]:
    """A memory as built; a call of ``configure`` may change it, unless it is ``const``."""
    head = f"static {kind}ap_uint<{bits}> {_table(name)}[{len(words)}] = {{"
    return [head, *(f"    {_literal(word, bits)}," for word in words), "};", ""]


def _lanes(name: str, bits: int, lanes: Sequence[Sequence[int]], *, kind: str) -> list[str]:
    head = f"static {kind}ap_uint<{bits}> {_table(name)}[{len(lanes)}][{len(lanes[0])}] = {{"
    rows = (", ".join(_literal(word, bits) for word in words) for words in lanes)
    return [head, *(f"    {{{row}}}," for row in rows), "};", ""]


def _stored(unit: Unit) -> dict[str, list[MemoryLayout]]:
    """The memories behind each table of a kernel: the lanes of a stage of a search share one."""
    tables: dict[str, list[MemoryLayout]] = {}
    for memory in unit.memories:
        sliced = SLICE.search(memory.name)
        name = memory.name if sliced is None else memory.name[: sliced.end(1)]
        tables.setdefault(name, []).append(memory)
    return tables


def _detected(unit: Unit) -> str:
    """What says that the memory, or a lane of a stage of a search, has given a damaged word."""
    return f"{unit.name.removeprefix('u_')}_detected"


def _flags(unit: Unit) -> str:
    """The dimensions of :func:`_detected`."""
    tables = list(_stored(unit).values())
    return f"[{len(tables)}][{len(tables[0])}]" if unit.module == "threshold_search" else ""


def _literal(word: int, bits: int) -> str:
    """Wide words as text, the one form of a wide constant that vendor and host headers share."""
    return f"0x{word:x}ULL" if bits <= 64 else f'ap_uint<{bits}>("{word:x}", 16)'


def _table(memory: str) -> str:
    return memory.replace(".", "_")


def _region(net: Netlist, made: Sequence[Process]) -> str:
    stems = ["access_memory", "parity", *sorted({process.unit.module for process in made})]
    lines = [
        _NOTE,
        "",
        '#include "accelerator.hpp"',
        '#include "images.hpp"',
        *(f'#include "{stem}.hpp"' for stem in stems),
        "",
    ]
    for process in made:
        tables = [_table(name) for name in _stored(process.unit)]
        parted = tables if len(process.unit.memories) > 1 else ()
        pragmas = [f"#pragma HLS ARRAY_PARTITION variable={name} dim=1 complete" for name in parted]
        storage = STORAGE.get(net.memory_style)
        if storage is not None:
            pragmas += [f"#pragma HLS BIND_STORAGE variable={name} {storage}" for name in tables]
        if process.parity and tables:
            pragmas += _protection(process.unit)
        lines += [f"{_prototype(process)} {{", *pragmas, f"  {_instance(process)};", "}", ""]
    lines += [f"{_CONFIGURE} {{", "  answer = 0;", *_accesses(net), "}", ""]
    lines += [f"{_REPORT} {{", "  told = 0;", *_reports(net), "}", ""]
    lines += [f"{_TOP_PROTOTYPE} {{", "#pragma HLS DATAFLOW"]
    for channel in _inner(made):
        name = channel.name
        lines.append(f'  hls::stream<ap_uint<{channel.bits}>> {name}("{name}");')
        lines.append(f"#pragma HLS STREAM variable={name} depth={channel.depth}")
    lines += [f"  {_call(process)};" for process in made]
    return "\n".join([*lines, "}", ""])


def _protection(unit: Unit) -> list[str]:
    """Flags are registers that a reset clears."""
    name = _detected(unit)
    parted = [f"#pragma HLS ARRAY_PARTITION variable={name} dim=0 complete"] if _flags(unit) else []
    return [*parted, f"#pragma HLS RESET variable={name}"]


def _accesses(net: Netlist) -> list[str]:
    """One for each memory, by its number on the configuration bus."""
    given, parity = "access, memory, address, part, value, answer", int(net.parity)
    return [
        f"  access_memory<{place}, {parity}>({given}, {table}, {flag});"
        for place, (table, flag) in enumerate(_places(net))
    ]


def _reports(net: Netlist) -> list[str]:
    """The same, of what they have detected."""
    return [
        f"  report_memory<{place}>(memory, {flag}, told);"
        for place, (_, flag) in enumerate(_places(net))
    ]


def _places(net: Netlist) -> Iterator[tuple[str, str]]:
    """The table, or part of one, and the flag of each memory, by its number."""
    for unit in net.units:
        for stage, (name, memories) in enumerate(_stored(unit).items()):
            for lane, memory in enumerate(memories):
                alone = name == memory.name
                table, flag = _table(name), _detected(unit)
                yield (table, flag) if alone else (f"{table}[{lane}]", f"{flag}[{stage}][{lane}]")


def _inner(made: Sequence[Process]) -> list[Channel]:
    """Every stream between two processes."""
    return [sink for process in made[:-1] for sink in process.sinks]


def _call(process: Process) -> str:
    names = [channel.name for channel in (*process.sources, *process.sinks)]
    return f"{process.unit.name}({', '.join([*names, 'vectors'])})"


def _instance(process: Process) -> str:
    """The kernel: streams in, streams out, table and its flag, counts; a fork has its streams out
    last, and a search its flags and tables."""
    unit = process.unit
    names = ", ".join(f"/*{name}*/ {value}" for name, value in process.parameters.items())
    sources = [name for name, _ in _named("in", process.sources)]
    sinks = [name for name, _ in _named("out", process.sinks)]
    if process.parameters.get("Inputs") == 1:
        sources *= 2  # the kernel reads the first only
    tables = [process.constants.name] if process.constants else list(_stored(unit))
    tables = [_table(name) for name in tables]
    search = unit.module == "threshold_search"
    detected = [_detected(unit)] if unit.memories else []
    counts = [] if search else [*tables, *detected]
    counts += [str(process.words)] if process.words is not None else []
    each = process.vectors
    counts += ["vectors" if each == 1 else f"parts<{each}>(vectors)"]
    last = [*counts, *sinks] if unit.module == "eager_fork" else [*sinks, *counts]
    last += [*detected, *tables] if search else []
    return f"{unit.module}<{names}>({', '.join([*sources, *last])})"


def _simulation(made: Sequence[Process]) -> str:
    lines = [
        _NOTE,
        "",
        '#include "simulation.hpp"',
        "",
        "void simulate(dataflow& region, hls::stream<InputWord>& in, hls::stream<OutputWord>& out,",
        "              int vectors) {",
    ]
    for channel in _inner(made):
        name, bits, depth = channel.name, channel.bits, channel.depth
        lines.append(f'  hls::stream<ap_uint<{bits}>> {name}("{name}", {depth});')
    lines += [
        f'  region.process("{process.unit.name}", [&] {{ {_call(process)}; }});' for process in made
    ]
    return "\n".join([*lines, "  region.finish();", "}", ""])
