"""A board's top module, the accelerator behind its serial port: parameters and instances only."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from typing import Any

from flow.atomic import write_atomic, write_json
from flow.build.manifest import Build
from flow.build.netlist import TOP, Netlist, image_path, netlist
from flow.errors import InputError
from flow.ir import Graph

HLS = Path(__file__).resolve().parents[2] / "hls"
BOARDS = HLS / "boards"
SERIAL = ("uart_rx", "uart_tx", "crc16", "uart_image", "uart_bridge", "fifo")
MODULES = ("power_on_reset", "polarity", *SERIAL)
RECORD, FORMAT = "board.json", 2
PORTS = ("clock", "button", "receive", "transmit", "leds")
MAX_INPUT_BITS = 8  # an element travels in one byte
# Of the cycles in reset, as a power of two: 21 us at 12 MHz. Block memory of an iCE40 answers 0 for
# the first 3 us or so after configuration (IceStorm issue 76).
RESET_BITS = 8


@dataclass(frozen=True, slots=True)
class Board:
    """A board of ``hls/boards``: its device, pins and clock, and how it is programmed."""

    name: str
    device: str
    family: str
    clock_hz: int
    baud: int
    constraints: Path
    synth: tuple[str, ...]  # arguments that select the device: of Yosys' command,
    place: tuple[str, ...]  # of place and route,
    pack: tuple[str, ...]  # and of packing
    program: str  # command line with {bitstream}
    high: tuple[str, ...]  # outputs held at 1
    ports: Mapping[str, str]
    button_active_low: bool
    leds: tuple[int, ...]  # which bit of the bridge's led_o each LED shows
    leds_active_low: tuple[int, ...]  # the LEDs that 0 lights

    @property
    def top(self) -> str:
        """Of the generated module: the name as SystemVerilog allows it."""
        return self.name.replace("-", "_")

    @property
    def divider(self) -> int:
        """Clock cycles per bit on the serial line."""
        return round(self.clock_hz / self.baud)


def load_board(name: str) -> Board:
    """The board called ``name``.

    Raises:
        InputError: there is no such board.
    """
    known = sorted(path.parent.name for path in BOARDS.glob("*/board.toml"))
    if name not in known:
        raise InputError(f"board {name!r}: unknown; choose one of {', '.join(known)}")
    settings = tomllib.loads((BOARDS / name / "board.toml").read_text())
    leds = settings["leds"]
    return Board(
        name=name,
        device=settings["device"],
        family=settings["family"],
        clock_hz=settings["clock_hz"],
        baud=settings["baud"],
        constraints=(BOARDS / name / settings["constraints"]).resolve(),
        synth=tuple(settings.get("synth", ())),
        place=tuple(settings["place"]),
        pack=tuple(settings.get("pack", ())),
        program=settings["program"],
        high=tuple(settings.get("high", ())),
        ports={port: settings["ports"][port] for port in PORTS},
        button_active_low=settings.get("button", {}).get("active_low", False),
        leds=tuple(leds["shows"]),
        leds_active_low=tuple(leds.get("active_low", ())),
    )


def write_board(build: Build, board: Board, directory: Path) -> dict[str, Any]:
    """Fill ``directory`` with all that simulation and synthesis of the board's top need.

    The RTL and the images are the build's own files; relative paths in the RTL hold in
    ``directory``. Returns the record that is also written as ``board.json``.

    Raises:
        InputError: the serial protocol cannot carry this network; the line says why.
    """
    graph = build.graph()
    net = netlist(graph, build.plan())
    text = board_text(net, graph, board, digest=build.graph_digest)
    for path in build.sources():
        _copy(path, directory / "rtl" / path.name)
    for module in MODULES:
        if not (directory / "rtl" / f"{module}.sv").exists():  # the build's own copy goes first
            _copy(HLS / "rtl" / f"{module}.sv", directory / "rtl" / f"{module}.sv")
    for image in map(image_path, net.images):
        _copy(build.directory / image, directory / image)
    for name in ("plan.json", "graph.json", "graph.safetensors"):
        _copy(build.directory / name, directory / name)
    _copy(board.constraints, directory / board.constraints.name)
    write_atomic(directory / "rtl" / f"{board.top}.sv", text)
    record = {
        "format": FORMAT,
        "board": board.name,
        "top": board.top,
        "clock_hz": board.clock_hz,
        "baud": board.clock_hz / board.divider,
        "ports": dict(board.ports),
        "button_active_low": board.button_active_low,
        "leds": {"shows": list(board.leds), "active_low": list(board.leds_active_low)},
        "graph_digest": build.graph_digest,
        "plan_digest": build.plan_digest,
        "memories": [{"name": m.name, "words": m.words, "bits": m.bits} for m in net.memories],
    }
    write_json(directory / RECORD, record)
    return record


def board_text(net: Netlist, graph: Graph, board: Board, *, digest: str) -> str:
    """SystemVerilog of the module ``board.top``.

    Raises:
        InputError: the serial protocol cannot carry this network.
    """
    result = net.units[-1]
    bits = graph.input_edge.type.bits
    if bits > MAX_INPUT_BITS:
        raise InputError(
            f"edge {graph.input!r}: {bits} bits per element where the serial protocol carries "
            f"{MAX_INPUT_BITS}; quantize the input further"
        )
    classes, logit_bits = (int(result.parameters[name]) for name in ("Classes", "LogitBits"))
    parameters = {
        "Elements": graph.input_edge.elements,
        "Lanes": net.input.lanes,
        "InBits": bits,
        "Classes": classes,
        "ClassBits": net.output.bits - classes * logit_bits,
        "LogitBits": logit_bits,
        "LogitSigned": result.parameters["LogitSigned"],
        "CfgBits": net.cfg_bits,
        "Memories": len(net.memories),
        "CfgMemoryBits": net.cfg_memory_bits,
        "CfgAddressBits": net.cfg_address_bits,
        "Parity": int(net.parity),
        "Writable": int(net.writable),
        "Digest": f"64'h{bytes.fromhex(digest)[:8][::-1].hex()}",
    }
    widths = {"beat": net.input.bits, "result": net.output.bits, "word": net.cfg_bits}
    widths |= {"memory": net.cfg_memory_bits, "address": net.cfg_address_bits}
    widths |= {"memories": len(net.memories)}
    given = ",\n".join(f"    .{name}({value})" for name, value in parameters.items())
    low = sum(1 << led for led in board.leds_active_low)
    pins = {"divider": board.divider, "board": board.top, "parameters": given, "core": TOP}
    pins |= {"reset_bits": RESET_BITS, "button_low": int(board.button_active_low)}
    pins |= {"led_count": len(board.leds)}
    pins |= {"leds_low": f"{len(board.leds)}'b{low:0{len(board.leds)}b}"}
    pins |= {"shown": ", ".join(f"lights[{bit}]" for bit in reversed(board.leds))}
    return _TEXT.format(
        **pins,
        **board.ports,
        **{name: width - 1 for name, width in widths.items()},
        led_top=len(board.leds) - 1,
        high_ports="".join(f",\n  output logic {name}" for name in board.high),
        high_values="".join(f"  assign {name} = 1'b1;\n" for name in board.high),
    )


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    copyfile(source, target)


_TEXT = """\
// Generated: the accelerator behind the board's serial port; parameters and instances only.
module {board} (
  input  logic {clock},
  input  logic {button},
  input  logic {receive},
  output logic {transmit},
  output logic [{led_top}:0] {leds}{high_ports}
);

  logic rst_n, pressed;
  logic [7:0] lights;
  logic rx_valid, rx_error, rx_line, tx_valid, tx_ready;
  logic [7:0] rx_data, tx_data;
  logic image_valid, image_ready, result_valid, result_ready;
  logic [{beat}:0] image_data;
  logic [{result}:0] result_data;
  logic cfg_valid, cfg_write;
  logic [{memory}:0] cfg_memory;
  logic [{address}:0] cfg_address;
  logic [{word}:0] cfg_wdata, cfg_rdata;
  logic [{memories}:0] detected;

{high_values}
  polarity #(
    .Bits(1),
    .ActiveLow(1'b{button_low})
  ) u_button (
    .data_i({button}),
    .data_o(pressed)
  );

  polarity #(
    .Bits({led_count}),
    .ActiveLow({leds_low})
  ) u_leds (
    .data_i({{{shown}}}),
    .data_o({leds})
  );

  power_on_reset #(
    .CountBits({reset_bits})
  ) u_reset (
    .clk_i({clock}),
    .button_i(pressed),
    .rst_no(rst_n)
  );

  uart_rx #(
    .Divider({divider})
  ) u_rx (
    .clk_i({clock}),
    .rst_ni(rst_n),
    .rx_i({receive}),
    .valid_o(rx_valid),
    .data_o(rx_data),
    .error_o(rx_error),
    .line_o(rx_line)
  );

  uart_tx #(
    .Divider({divider})
  ) u_tx (
    .clk_i({clock}),
    .rst_ni(rst_n),
    .valid_i(tx_valid),
    .ready_o(tx_ready),
    .data_i(tx_data),
    .tx_o({transmit})
  );

  uart_bridge #(
{parameters}
  ) u_bridge (
    .clk_i({clock}),
    .rst_ni(rst_n),
    .rx_valid_i(rx_valid),
    .rx_data_i(rx_data),
    .rx_error_i(rx_error),
    .rx_line_i(rx_line),
    .tx_valid_o(tx_valid),
    .tx_ready_i(tx_ready),
    .tx_data_o(tx_data),
    .valid_o(image_valid),
    .ready_i(image_ready),
    .data_o(image_data),
    .valid_i(result_valid),
    .ready_o(result_ready),
    .data_i(result_data),
    .cfg_valid_o(cfg_valid),
    .cfg_write_o(cfg_write),
    .cfg_memory_o(cfg_memory),
    .cfg_address_o(cfg_address),
    .cfg_data_o(cfg_wdata),
    .cfg_data_i(cfg_rdata),
    .detected_i(detected),
    .led_o(lights)
  );

  {core} u_{core} (
    .clk_i({clock}),
    .rst_ni(rst_n),
    .valid_i(image_valid),
    .ready_o(image_ready),
    .data_i(image_data),
    .valid_o(result_valid),
    .ready_i(result_ready),
    .data_o(result_data),
    .cfg_valid_i(cfg_valid),
    .cfg_write_i(cfg_write),
    .cfg_memory_i(cfg_memory),
    .cfg_address_i(cfg_address),
    .cfg_data_i(cfg_wdata),
    .cfg_data_o(cfg_rdata),
    .detected_o(detected)
  );

endmodule
"""
