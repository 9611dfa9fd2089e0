"""The accelerator as SystemVerilog: parameters, memory images and instances, no logic."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import singledispatch

from flow.build.images import MemoryLayout, graph_layouts
from flow.errors import InputError
from flow.ir import Edge, Graph, IntType, Node, Op
from flow.ops import ArgMax, Compare, Decode, MatVec, Threshold
from flow.schedule import Folding, Layer, Plan, layers

NAME = re.compile(r"[a-z][a-z0-9_]*")
TOP = "accelerator"
MODULES = {
    "matvec": ("matvec", "replay", "memory", "popcount"),
    "threshold": ("threshold", "memory"),
    "width": ("width",),
    "fifo": ("fifo",),
    "argmax": ("argmax",),
}  # library files behind each instantiated module
MAX_MEMORIES, MAX_WORDS = 1 << 8, 1 << 16  # cfg_memory_i and cfg_address_i
CFG = ("cfg_valid_i", "cfg_write_i", "cfg_memory_i", "cfg_address_i", "cfg_data_i")
STORE = {"weights": "u_weights", "thresholds": "u_thresholds"}  # memory instance in its unit


@dataclass(frozen=True, slots=True)
class Stream:
    """One valid/ready stream between two units."""

    name: str
    bits: int


@dataclass(frozen=True, slots=True)
class Unit:
    """One instance, with the stream it reads and the stream it writes."""

    module: str
    name: str
    parameters: Mapping[str, int | str]
    source: Stream
    sink: Stream
    memory: MemoryLayout | None = None


@dataclass(frozen=True, slots=True)
class Netlist:
    """All units in stream order and what the configuration bus needs."""

    units: tuple[Unit, ...]
    cfg_bits: int

    @property
    def memories(self) -> tuple[MemoryLayout, ...]:
        """In configuration-bus order."""
        return tuple(unit.memory for unit in self.units if unit.memory is not None)

    @property
    def parameters(self) -> dict[str, str]:
        """The top's parameters: where each memory image lies, relative to the build folder."""
        return {file_parameter(memory): image_path(memory) for memory in self.memories}


def image_path(memory: MemoryLayout) -> str:
    """Of a memory's image, relative to the build folder, where simulators and Yosys run."""
    return f"images/{memory.name}.hex"


def file_parameter(memory: MemoryLayout) -> str:
    """``fc0.weights`` is read from the file that parameter ``Fc0WeightsFile`` names."""
    return "".join(word.capitalize() for word in memory.name.split(".")) + "File"


def memory_instance(name: str) -> str:
    """The hierarchical name, below the accelerator, of memory ``<node>.<memory>``."""
    node, memory = name.split(".")
    return f"u_{node}.{STORE[memory]}"


def netlist(graph: Graph, plan: Plan) -> Netlist:
    """The instances of ``graph`` by ``plan``.

    Raises:
        InputError: a node needs what the RTL library does not have; the line names it.
    """
    chain = layers(graph)
    for node in graph.nodes:
        if NAME.fullmatch(node.name) is None:
            raise InputError(f"node {node.name!r}: no hardware name; use a-z, 0-9 and _")
    memories = {memory.name: memory for memory in graph_layouts(graph, plan.folding)}
    _check_memories(list(memories.values()))
    edges, units = graph.edges(), []
    stream = Stream("", plan.folding[chain[0].matvec.name].simd * graph.input_edge.type.bits)
    for place, layer in enumerate(chain):
        fold = plan.folding[layer.matvec.name]
        for node in (layer.matvec, layer.after):
            parameters = unit_parameters(node.op, fold, node.name, edges[node.inputs[0]])
            sink = Stream(node.name, _out_bits(node, fold, edges))
            memory = next((m for m in memories.values() if m.node == node.name), None)
            module = type(node.op).__name__.lower()
            units.append(Unit(module, f"u_{node.name}", parameters, stream, sink, memory))
            stream = sink
        if place + 1 < len(chain):
            units += _between(layer, chain[place + 1], plan, edges, stream)
            stream = units[-1].sink
    if len({unit.name for unit in units}) < len(units):
        raise InputError(f"graph {graph.name!r}: two units share a name; rename *_width or *_fifo")
    units[-1] = replace(units[-1], sink=Stream("", stream.bits))
    return Netlist(tuple(units), max(memory.bits for memory in memories.values()))


@singledispatch
def unit_parameters(op: Op, folding: Folding, node: str, source: Edge) -> dict[str, int | str]:
    """The parameters of the RTL unit that computes ``op`` on ``source``; memory ones excluded.

    Raises:
        InputError: the RTL library has no such unit.
    """
    raise TypeError(f"no RTL for {type(op).__name__}; register one in {__name__}")


@unit_parameters.register
def _(op: MatVec, folding: Folding, node: str, source: Edge) -> dict[str, int | str]:
    if op.decode is not Decode.PLAIN:
        raise InputError(f"node {node!r}: no RTL decodes {op.decode}; lower with --decode plain")
    if op.groups != 1:
        raise InputError(f"node {node!r}: no RTL takes {op.groups} groups; use 1")
    kind = op.weight_type
    if not (kind.signed or kind.bipolar):
        raise InputError(f"node {node!r}: no RTL takes {kind} weights; use signed or bipolar ones")
    rows, columns = op.weights.shape
    return {
        "Rows": rows,
        "Columns": columns,
        "Pe": folding.pe,
        "Simd": folding.simd,
        "InBits": source.type.bits,
        "InKind": _kind(source.type),
        "WeightBits": kind.bits,
        "WeightKind": _kind(kind),
        "AccBits": op.accumulator.bits,
        "Popcount": int(op.popcount),
    }


@unit_parameters.register
def _(op: Threshold, folding: Folding, node: str, source: Edge) -> dict[str, int | str]:
    if op.compare is not Compare.COUNT:
        raise InputError(f"node {node!r}: no RTL compares by {op.compare}; use the count form")
    channels, steps = op.thresholds.shape
    return {
        "Channels": channels,
        "Lanes": folding.pe,
        "AccBits": source.type.bits,
        "AccSigned": int(source.type.signed),
        "ThresholdBits": op.threshold_type.bits,
        "ThresholdSigned": int(op.threshold_type.signed),
        "Steps": steps,
        "Base": op.base,
        "OutBits": op.output.bits,
        "SignsStored": int(op.signs_stored),
    }


@unit_parameters.register
def _(op: ArgMax, folding: Folding, node: str, source: Edge) -> dict[str, int | str]:
    return {
        "Classes": source.shape[-1],
        "Lanes": folding.pe,
        "LogitBits": source.type.bits,
        "LogitSigned": int(source.type.signed),
    }


def netlist_text(net: Netlist) -> str:
    """SystemVerilog of the module :data:`TOP`."""
    return "\n".join(
        [_header(net), *_streams(net), "", *(_instance(u, net) for u in net.units), "endmodule\n"]
    )


def _between(
    layer: Layer, reader: Layer, plan: Plan, edges: Mapping[str, Edge], stream: Stream
) -> list[Unit]:
    """Width converter and FIFO on the edge from ``layer`` to ``reader``."""
    name, edge = layer.after.name, layer.after.output
    bits = edges[edge].type.bits
    lanes, simd = plan.folding[layer.matvec.name].pe, plan.folding[reader.matvec.name].simd
    if edge not in plan.fifo_depth:
        raise InputError(f"edge {edge!r}: the plan has no FIFO depth for it; plan again")
    wide = Stream(f"{name}_width", simd * bits)
    fifo = Stream(f"{name}_fifo", simd * bits)
    ratio = {"InLanes": lanes, "OutLanes": simd, "Bits": bits}
    depth = {"Depth": plan.fifo_depth[edge], "Bits": wide.bits}
    return [
        Unit("width", f"u_{wide.name}", ratio, stream, wide),
        Unit("fifo", f"u_{fifo.name}", depth, wide, fifo),
    ]


def _kind(type_: IntType) -> int:
    return 2 if type_.bipolar else int(type_.signed)


def _out_bits(node: Node, folding: Folding, edges: Mapping[str, Edge]) -> int:
    out = edges[node.output]
    if isinstance(node.op, ArgMax):
        logits = edges[node.inputs[0]]
        return out.type.bits + logits.elements * logits.type.bits
    return folding.pe * out.type.bits


def _check_memories(memories: list[MemoryLayout]) -> None:
    if len(memories) > MAX_MEMORIES:
        raise InputError(f"{len(memories)} memories; the configuration bus takes {MAX_MEMORIES}")
    for memory in memories:
        if memory.words > MAX_WORDS:
            raise InputError(
                f"node {memory.node!r}: {memory.words} memory words where the configuration bus "
                f"addresses {MAX_WORDS}; raise pe or simd"
            )


def _header(net: Netlist) -> str:
    memories = net.memories
    files = ",\n".join(f'  parameter {name} = "{path}"' for name, path in net.parameters.items())
    index = "\n".join(f"//   {i}  {m.name}, {m.words} x {m.bits}" for i, m in enumerate(memories))
    source, sink = net.units[0].source.bits, net.units[-1].sink.bits
    return f"""\
// Generated: parameters, memory images and instances only.
// Memories by cfg_memory_i (words x bits):
{index}
module {TOP} #(
{files}
) (
  input  logic clk_i,
  input  logic rst_ni,  // synchronous, active low
  // one image, lane 0 in the low bits
  input  logic valid_i,
  output logic ready_o,
  input  logic [{source - 1}:0] data_i,
  // class above the logits
  output logic valid_o,
  input  logic ready_i,
  output logic [{sink - 1}:0] data_o,
  // configuration, only between images
  input  logic cfg_valid_i,
  input  logic cfg_write_i,
  input  logic [7:0] cfg_memory_i,
  input  logic [15:0] cfg_address_i,
  input  logic [{net.cfg_bits - 1}:0] cfg_data_i,
  output logic [{net.cfg_bits - 1}:0] cfg_data_o
);
"""


def _streams(net: Netlist) -> list[str]:
    lines = []
    for unit in net.units[:-1]:
        name, bits = unit.sink.name, unit.sink.bits
        lines.append(f"  logic {name}_valid, {name}_ready;")
        lines.append(f"  logic [{bits - 1}:0] {name}_data;")
    for index in range(1, len(net.memories)):
        lines.append(f"  logic [{net.cfg_bits - 1}:0] cfg_chain_{index};")
    return lines


def _instance(unit: Unit, net: Netlist) -> str:
    parameters = dict(unit.parameters)
    ports = {"clk_i": "clk_i", "rst_ni": "rst_ni"}
    ports |= {f"{end}_i": _net(unit.source, end, "i") for end in ("valid", "data")}
    ports |= {"ready_o": _net(unit.source, "ready", "o")}
    ports |= {f"{end}_o": _net(unit.sink, end, "o") for end in ("valid", "data")}
    ports |= {"ready_i": _net(unit.sink, "ready", "i")}
    if unit.module == "fifo":
        ports["high_water_o"] = ""
    if unit.memory is not None:
        index = [memory.name for memory in net.memories].index(unit.memory.name)
        parameters |= {
            "File": file_parameter(unit.memory),
            "CfgIndex": index,
            "CfgBits": net.cfg_bits,
        }
        ports |= {name: name for name in CFG}
        last = index + 1 == len(net.memories)
        ports["cfg_chain_i"] = f"cfg_chain_{index}" if index else "'0"
        ports["cfg_chain_o"] = "cfg_data_o" if last else f"cfg_chain_{index + 1}"
    given = ",\n".join(f"    .{name}({value})" for name, value in parameters.items())
    wired = ",\n".join(f"    .{name}({value})" for name, value in ports.items())
    return f"  {unit.module} #(\n{given}\n  ) {unit.name} (\n{wired}\n  );\n"


def _net(stream: Stream, end: str, direction: str) -> str:
    """A stream without a name is the top's own port."""
    return f"{stream.name}_{end}" if stream.name else f"{end}_{direction}"
