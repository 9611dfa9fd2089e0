"""SystemVerilog of a board's top: the accelerator behind its serial port, instances only."""

from __future__ import annotations

from typing import Any

from flow.build.boards import Board
from flow.build.instance import connections
from flow.build.netlist import Netlist, accelerator_instance
from flow.build.smoothing import Smoother, count_bits, smoother_parameters
from flow.errors import InputError
from flow.ir import Graph

MAX_INPUT_BITS = 8  # an element travels in one byte
# Of the cycles in reset, as a power of two: 21 us at 12 MHz. Block memory of an iCE40 answers 0 for
# the first 3 us or so after configuration (IceStorm issue 76).
RESET_BITS = 8


def board_text(
    net: Netlist, graph: Graph, board: Board, *, digest: str, smoother: Smoother | None = None
) -> str:
    """SystemVerilog of the module ``board.top``; with a ``smoother`` around the accelerator.

    Raises:
        InputError: the serial protocol cannot carry this network.
    """
    bits = graph.input_edge.type.bits
    if bits > MAX_INPUT_BITS:
        raise InputError(
            f"edge {graph.input!r}: {bits} bits per element where the serial protocol carries "
            f"{MAX_INPUT_BITS}; quantize the input further"
        )
    bridge = _bridge(net, graph, digest=digest, smoother=smoother)
    widths = {"beat": net.input.bits, "word": net.cfg_bits, "memories": len(net.memories)}
    widths |= {"result": bridge["ClassBits"] + bridge["Classes"] * bridge["LogitBits"]}
    widths |= {"memory": net.cfg_memory_bits, "address": net.cfg_address_bits}
    return _TEXT.format(
        board=board.top,
        divider=board.divider,
        reset_bits=RESET_BITS,
        parameters=connections(bridge),
        **_pins(board),
        **{name: width - 1 for name, width in widths.items()},
        **_around(net, graph, smoother, clock=board.ports["clock"]),
    )


def _bridge(
    net: Netlist, graph: Graph, *, digest: str, smoother: Smoother | None
) -> dict[str, Any]:
    """Parameters of ``hls/rtl/uart_bridge.sv``; votes are answered as logits are."""
    result = net.units[-1]
    classes, logit_bits = (int(result.parameters[name]) for name in ("Classes", "LogitBits"))
    class_bits = net.output.bits - classes * logit_bits
    signed = result.parameters["LogitSigned"]
    if smoother is not None:
        logit_bits, signed = count_bits(smoother.votes), 0
    return {
        "Elements": graph.input_edge.elements,
        "Lanes": net.input.lanes,
        "InBits": graph.input_edge.type.bits,
        "Classes": classes,
        "ClassBits": class_bits,
        "LogitBits": logit_bits,
        "LogitSigned": signed,
        "CfgBits": net.cfg_bits,
        "Memories": len(net.memories),
        "CfgMemoryBits": net.cfg_memory_bits,
        "CfgAddressBits": net.cfg_address_bits,
        "Parity": int(net.parity),
        "Writable": int(net.writable),
        "Voting": int(smoother is not None),
        "Digest": f"64'h{bytes.fromhex(digest)[:8][::-1].hex()}",
    }


def _pins(board: Board) -> dict[str, object]:
    """The ports of the top, and what the LEDs show."""
    leds = len(board.leds)
    low = sum(1 << led for led in board.leds_active_low)
    return {
        **board.ports,
        "button_low": int(board.button_active_low),
        "led_count": leds,
        "led_top": leds - 1,
        "leds_low": f"{leds}'b{low:0{leds}b}",
        "shown": ", ".join(f"lights[{bit}]" for bit in reversed(board.leds)),
        "high_ports": "".join(f",\n  output logic {name}" for name in board.high),
        "high_values": "".join(f"  assign {name} = 1'b1;\n" for name in board.high),
    }


def _around(net: Netlist, graph: Graph, smoother: Smoother | None, *, clock: str) -> dict[str, str]:
    """The accelerator, and what stands between it and the bridge."""
    streams, text = ("image", "result"), ""
    if smoother is not None:
        given = connections(smoother_parameters(smoother, net, graph))
        widths = {"beat": net.input.bits - 1, "word": net.output.bits - 1}
        text = _SMOOTHER.format(parameters=given, clock=clock, **widths)
        streams = "noisy", "class"
    core = accelerator_instance(streams, clock=clock, reset="rst_n")
    return {"smoother": text, "accelerator": core}


_SMOOTHER = """
  logic noisy_valid, noisy_ready, class_valid, class_ready;
  logic [{beat}:0] noisy_data;
  logic [{word}:0] class_data;

  smoother #(
{parameters}
  ) u_smoother (
    .clk_i({clock}),
    .rst_ni(rst_n),
    .valid_i(image_valid),
    .ready_o(image_ready),
    .data_i(image_data),
    .noisy_valid_o(noisy_valid),
    .noisy_ready_i(noisy_ready),
    .noisy_data_o(noisy_data),
    .class_valid_i(class_valid),
    .class_ready_o(class_ready),
    .class_data_i(class_data),
    .valid_o(result_valid),
    .ready_i(result_ready),
    .data_o(result_data)
  );
"""

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
{smoother}
{accelerator}
endmodule
"""
