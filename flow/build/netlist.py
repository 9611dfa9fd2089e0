"""The accelerator as SystemVerilog: parameters, memory images and instances, no logic."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flow.build.constants import Constants, unit_constants
from flow.build.images import MemoryLayout, graph_layouts
from flow.build.instance import instance_text
from flow.build.parameters import instance_parameters
from flow.errors import InputError
from flow.ir import Graph
from flow.schedule import INPUT, OUTPUT, Plan, Stream, dataflow
from flow.schedule import Unit as Planned
from flow.schedule.cells import MemoryStyle

NAME = re.compile(r"[a-z][a-z0-9_]*")
TOP = "accelerator"
MAX_MEMORIES, MAX_WORDS = 1 << 16, (1 << 31) - 1  # CfgMemoryBits, and Words is an int
CFG = ("cfg_valid_i", "cfg_write_i", "cfg_memory_i", "cfg_address_i", "cfg_data_i")
SLICE = re.compile(r"_(\d{2})_(\d{4})$")  # stage and lane, at the end of a memory's name
STYLES = {
    MemoryStyle.AUTO: 0,
    MemoryStyle.BLOCK: 1,
    MemoryStyle.DISTRIBUTED: 2,
    MemoryStyle.ROM: 3,
}  # as ``memory.sv`` numbers them
STORE = {"weights": "u_weights", "thresholds": "u_thresholds"}  # memory instance in its unit


@dataclass(frozen=True, slots=True)
class Unit:
    """One instance, with the streams it reads and the streams it writes."""

    module: str
    name: str
    parameters: Mapping[str, int | str]
    sources: tuple[Stream, ...]
    sinks: tuple[Stream, ...]
    memories: tuple[MemoryLayout, ...] = ()  # in the order of the configuration bus
    constants: Constants | None = None

    @property
    def images(self) -> tuple[str, ...]:
        """The images it reads, ``<node>.<memory>``."""
        read = [memory.name for memory in self.memories]
        return tuple(read) if self.constants is None else (self.constants.name,)

    @property
    def file(self) -> str | None:
        """What its parameter ``File`` stands for: the image, or what names of several share."""
        shared = {SLICE.sub("", image) for image in self.images}
        return shared.pop() if shared else None


@dataclass(frozen=True, slots=True)
class Netlist:
    """All units, each after those it reads from, and what the configuration bus needs."""

    units: tuple[Unit, ...]
    parity: bool = False  # memories check their words
    memory_style: MemoryStyle = MemoryStyle.AUTO

    @property
    def writable(self) -> bool:
        """Whether configuration can write the memories; constants it can only read."""
        return self.memory_style is not MemoryStyle.ROM

    @property
    def cfg_bits(self) -> int:
        """Of a word on the configuration bus: the widest stored one."""
        return max(memory.bits for memory in self.memories)

    @property
    def cfg_memory_bits(self) -> int:
        """Of a memory's number on the configuration bus."""
        return _index_bits(len(self.memories))

    @property
    def cfg_address_bits(self) -> int:
        """Of an address on the configuration bus: enough for the deepest memory."""
        return _index_bits(max(memory.words for memory in self.memories))

    @property
    def input(self) -> Stream:
        """What carries the images in."""
        return self.units[0].sources[0]

    @property
    def output(self) -> Stream:
        """What carries class and logits out."""
        return self.units[-1].sinks[0]

    @property
    def memories(self) -> tuple[MemoryLayout, ...]:
        """In configuration-bus order."""
        return tuple(memory for unit in self.units for memory in unit.memories)

    @property
    def chain(self) -> tuple[Unit, ...]:
        """Those with memories, in the order in which words read pass them: the widest first, since
        the first costs no gates."""
        stored = [unit for unit in self.units if unit.memories]
        return tuple(sorted(stored, key=lambda unit: -max(m.bits for m in unit.memories)))

    @property
    def images(self) -> tuple[str, ...]:
        """Every image that some unit reads."""
        return tuple(image for unit in self.units for image in unit.images)

    @property
    def parameters(self) -> dict[str, str]:
        """The top's parameters: where the images of each unit lie, relative to the build folder."""
        return {
            file_parameter(unit.file): image_path(unit.file, sliced=unit.images[0] != unit.file)
            for unit in self.units
            if unit.file is not None
        }


def image_path(name: str, *, sliced: bool = False) -> str:
    """Of a memory's image, relative to the build folder, where simulators and Yosys run; where it
    is ``sliced``, what the paths of all slices begin with."""
    return f"images/{name}" if sliced else f"images/{name}.hex"


def file_parameter(name: str) -> str:
    """``fc0.weights`` is read from the file that parameter ``Fc0WeightsFile`` names."""
    return "".join(word.capitalize() for word in name.split(".")) + "File"


def memory_instance(name: str) -> str:
    """The hierarchical name, below the accelerator, of memory ``<node>.<memory>``."""
    node, memory = name.split(".")
    sliced = SLICE.search(memory)
    if sliced is not None:
        stage, lane = map(int, sliced.groups())
        return f"u_{node}.gen_stage[{stage}].gen_lane[{lane}].u_slice"
    return f"u_{node}.{STORE[memory]}"


def netlist(graph: Graph, plan: Plan) -> Netlist:
    """The instances of ``graph`` by ``plan``.

    Raises:
        InputError: a node needs what the RTL library does not have; the line names it.
    """
    for node in graph.nodes:
        if NAME.fullmatch(node.name) is None:
            raise InputError(f"node {node.name!r}: no hardware name; use a-z, 0-9 and _")
    layouts = graph_layouts(graph, plan.folding, parity=plan.parity)
    _check_memories(layouts)
    memories: dict[str, list[MemoryLayout]] = {}
    for memory in layouts:
        memories.setdefault(memory.node, []).append(memory)
    edges = graph.edges()
    units = [
        Unit(
            unit.module,
            f"u_{unit.name}",
            instance_parameters(unit, edges, _depth(unit, plan)),
            unit.sources,
            unit.sinks,
            tuple(memories.get(unit.name, ())) if unit.node is not None else (),
            unit_constants(unit),
        )
        for unit in dataflow(graph, plan.folding).units
    ]
    return Netlist(tuple(units), plan.parity, plan.memory_style)


def netlist_text(net: Netlist) -> str:
    """SystemVerilog of the module :data:`TOP`."""
    return "\n".join(
        [_header(net), *_streams(net), "", *(_instance(u, net) for u in net.units), "endmodule\n"]
    )


def accelerator_instance(
    streams: tuple[str, str],
    *,
    clock: str,
    reset: str,
    parameters: Mapping[str, object] | None = None,
) -> str:
    """:data:`TOP` from the first of ``streams`` to the second, its configuration and detections on
    nets named as its ports."""
    into, out = streams
    ports = {"clk_i": clock, "rst_ni": reset}
    ports |= {"valid_i": f"{into}_valid", "ready_o": f"{into}_ready", "data_i": f"{into}_data"}
    ports |= {"valid_o": f"{out}_valid", "ready_i": f"{out}_ready", "data_o": f"{out}_data"}
    ports |= {port: port.removesuffix("_i") for port in CFG}
    ports |= {"cfg_data_i": "cfg_wdata", "cfg_data_o": "cfg_rdata", "detected_o": "detected"}
    return instance_text(TOP, f"u_{TOP}", ports, parameters=parameters)


def _depth(unit: Planned, plan: Plan) -> int | None:
    if unit.module != "fifo":
        return None
    if unit.name not in plan.fifo_depth:
        raise InputError(f"FIFO {unit.name!r}: the plan has no depth for it; plan again")
    return plan.fifo_depth[unit.name]


def _check_memories(memories: Sequence[MemoryLayout]) -> None:
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
    source, sink = net.input.bits, net.output.bits
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
  input  logic [{net.cfg_memory_bits - 1}:0] cfg_memory_i,
  input  logic [{net.cfg_address_bits - 1}:0] cfg_address_i,
  input  logic [{net.cfg_bits - 1}:0] cfg_data_i,
  output logic [{net.cfg_bits - 1}:0] cfg_data_o,
  // protection: which memories have given a damaged word
  output logic [{len(memories) - 1}:0] detected_o
);
"""


def _streams(net: Netlist) -> list[str]:
    lines = []
    for unit in net.units[:-1]:
        for stream in unit.sinks:
            lines.append(f"  logic {stream.name}_valid, {stream.name}_ready;")
        for name in dict.fromkeys(stream.shared or stream.name for stream in unit.sinks):
            lines.append(f"  logic [{unit.sinks[0].bits - 1}:0] {name}_data;")
    for place in range(1, len(net.chain)):
        lines.append(f"  logic [{net.cfg_bits - 1}:0] cfg_chain_{place};")
    return lines


def _instance(unit: Unit, net: Netlist) -> str:
    parameters = dict(unit.parameters)
    ports = {"clk_i": "clk_i", "rst_ni": "rst_ni"}
    ports |= {f"{end}_i": _nets(unit.sources, end, "i") for end in ("valid", "data")}
    ports |= {"ready_o": _nets(unit.sources, "ready", "o")}
    ports |= {f"{end}_o": _nets(unit.sinks, end, "o") for end in ("valid", "data")}
    ports |= {"ready_i": _nets(unit.sinks, "ready", "i")}
    if unit.module == "fifo":
        ports["high_water_o"] = ""
    if unit.file is not None:
        parameters["File"] = file_parameter(unit.file)
    if unit.memories:
        place = net.chain.index(unit)
        parameters |= {
            "CfgIndex": net.memories.index(unit.memories[0]),
            "CfgBits": net.cfg_bits,
            "CfgFirst": int(place == 0),
            "CfgMemoryBits": net.cfg_memory_bits,
            "CfgAddressBits": net.cfg_address_bits,
        }
        parameters |= {"Parity": 1} if net.parity else {}
        parameters |= {"Style": STYLES[net.memory_style]} if STYLES[net.memory_style] else {}
        ports |= {name: name for name in CFG}
        last = place + 1 == len(net.chain)
        ports["cfg_chain_i"] = f"cfg_chain_{place}" if place else "'0"
        ports["cfg_chain_o"] = "cfg_data_o" if last else f"cfg_chain_{place + 1}"
        first, count = net.memories.index(unit.memories[0]), len(unit.memories)
        span = f"{first + count - 1}:{first}" if count > 1 else str(first)
        ports["detected_o"] = f"detected_o[{span}]"
    return instance_text(unit.module, unit.name, ports, parameters=parameters)


def _index_bits(count: int) -> int:
    return max(1, (count - 1).bit_length())


def _nets(streams: Sequence[Stream], end: str, direction: str) -> str:
    """The signals of one end of a unit's streams, the first in the low bits."""
    nets = [
        f"{end}_{direction}" if stream.name in (INPUT, OUTPUT) else f"{name}_{end}"
        for stream in streams
        for name in [stream.shared if stream.shared and end == "data" else stream.name]
    ]
    if streams[0].shared and direction == "o":
        nets = list(dict.fromkeys(nets))  # a fork has one word for all its sinks
    return nets[0] if len(nets) == 1 else f"{{{', '.join(reversed(nets))}}}"
