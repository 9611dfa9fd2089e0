"""The accelerator behind AXI, for AMD parts: parameters and instances only.

``accelerator_axi.v`` is plain Verilog since block designs take no SystemVerilog as a top.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flow.build.instance import connections
from flow.build.netlist import TOP, Netlist, accelerator_instance
from flow.ir import Graph

AXI_TOP = f"{TOP}_axi"
AXI_MODULES = ("axi_input", "axi_output", "axi_registers", "width")
WIDEST_BUS = 8  # bytes: what a high-performance port of a Zynq moves per cycle
RESULT_BUS = 4
PART = "xc7z020clg400-1"  # of PYNQ-Z1 and PYNQ-Z2
CLOCK_MHZ = 100


@dataclass(frozen=True, slots=True)
class AxiShape:
    """Sizes of the two streams, in bytes unless said otherwise."""

    bus: int  # of images
    words: int  # bus words per beat
    beats: int  # per image
    bits: int  # of a beat
    classes: int
    class_bits: int
    logit_bits: int
    logits_signed: bool
    element: int  # the class, and each logit

    @property
    def result(self) -> int:
        """One result, in whole bus words."""
        return -(-(1 + self.classes) * self.element // RESULT_BUS) * RESULT_BUS


def axi_shape(net: Netlist, graph: Graph) -> AxiShape:
    """The streams of ``net``: a beat takes the narrowest bus of 1, 2, 4 or 8 bytes, or several
    words of the widest."""
    bits, result = net.input.bits, net.units[-1]
    bus = min(1 << (-(-bits // 8) - 1).bit_length(), WIDEST_BUS)
    classes, logit_bits = (int(result.parameters[name]) for name in ("Classes", "LogitBits"))
    class_bits = net.output.bits - classes * logit_bits
    return AxiShape(
        bus=bus,
        words=-(-bits // (8 * bus)),
        beats=graph.input_edge.elements // net.input.lanes,
        bits=bits,
        classes=classes,
        class_bits=class_bits,
        logit_bits=logit_bits,
        logits_signed=bool(result.parameters["LogitSigned"]),
        element=1 << (-(-max(logit_bits, class_bits) // 8) - 1).bit_length(),
    )


def driver_record(net: Netlist, graph: Graph, *, digest: str) -> dict[str, Any]:
    """What ``hls/drivers/bitproof_axi.py`` must know of an accelerator."""
    shape, kind = axi_shape(net, graph), graph.input_edge.type
    return {
        "format": 1,
        "graph_digest": digest,
        "elements": graph.input_edge.elements,
        "input_bits": kind.bits,
        "input_range": [kind.lo, kind.hi],
        "bipolar": kind.bipolar,
        "lanes": net.input.lanes,
        "bus_bytes": shape.bus,
        "beat_bytes": shape.bus * shape.words,
        "classes": shape.classes,
        "element_bytes": shape.element,
        "logits_signed": shape.logits_signed,
        "result_bytes": shape.result,
        "cfg_bits": net.cfg_bits,
        "parity": net.parity,
        "writable": net.writable,
        "memories": [{"name": m.name, "words": m.words, "bits": m.bits} for m in net.memories],
    }


def axi_text(net: Netlist, graph: Graph, files: Mapping[str, str], *, digest: str) -> str:
    """Verilog of the module :data:`AXI_TOP`; ``files`` has the name of each image by parameter."""
    shape = axi_shape(net, graph)
    images = {name: f'"{file}"' for name, file in files.items()}
    return _TEXT.format(
        top=AXI_TOP,
        accelerator=accelerator_instance(
            ("image", "result"), clock="aclk", reset="aresetn", parameters=images
        ),
        images=8 * shape.bus - 1,
        results=8 * RESULT_BUS - 1,
        beat=shape.bits - 1,
        result=net.output.bits - 1,
        memory=net.cfg_memory_bits - 1,
        address=net.cfg_address_bits - 1,
        word=net.cfg_bits - 1,
        memories=len(net.memories) - 1,
        **{
            f"of_{unit}": connections(values)
            for unit, values in _parameters(shape, net, digest).items()
        },
    )


def _parameters(shape: AxiShape, net: Netlist, digest: str) -> dict[str, dict[str, object]]:
    """Of the units around the accelerator."""
    return {
        "input": {
            "Bytes": shape.bus,
            "Words": shape.words,
            "Beats": shape.beats,
            "Bits": shape.bits,
        },
        "output": {
            "Classes": shape.classes,
            "ClassBits": shape.class_bits,
            "LogitBits": shape.logit_bits,
            "LogitSigned": int(shape.logits_signed),
            "Bytes": RESULT_BUS,
            "ElementBytes": shape.element,
        },
        "registers": {
            "CfgBits": net.cfg_bits,
            "Memories": len(net.memories),
            "CfgMemoryBits": net.cfg_memory_bits,
            "CfgAddressBits": net.cfg_address_bits,
            "Digest": f"64'h{bytes.fromhex(digest)[:8][::-1].hex()}",
        },
    }


def settings_text(settings: Mapping[str, str | int | Sequence[str]]) -> str:
    """Tcl that sets each variable; a sequence becomes a list, one element a line."""
    lines = ["# Generated: what differs between builds."]
    for name, value in settings.items():
        if isinstance(value, str | int):
            lines.append(f"set {name} {{{value}}}")
        else:
            lines += [f"set {name} {{", *(f"  {element}" for element in value), "}"]
    return "\n".join([*lines, ""])


_TEXT = """\
// Generated: the accelerator behind AXI; parameters and instances only.
module {top} (
  (* X_INTERFACE_INFO = "xilinx.com:signal:clock:1.0 aclk CLK" *)
  (* X_INTERFACE_PARAMETER = "ASSOCIATED_BUSIF s_axis:m_axis:s_axi, ASSOCIATED_RESET aresetn" *)
  input  wire aclk,
  input  wire aresetn,
  // images
  input  wire s_axis_tvalid,
  output wire s_axis_tready,
  input  wire [{images}:0] s_axis_tdata,
  input  wire s_axis_tlast,
  // results
  output wire m_axis_tvalid,
  input  wire m_axis_tready,
  output wire [{results}:0] m_axis_tdata,
  output wire m_axis_tlast,
  // registers
  input  wire [5:0] s_axi_awaddr,
  input  wire [2:0] s_axi_awprot,
  input  wire s_axi_awvalid,
  output wire s_axi_awready,
  input  wire [31:0] s_axi_wdata,
  input  wire [3:0] s_axi_wstrb,
  input  wire s_axi_wvalid,
  output wire s_axi_wready,
  output wire [1:0] s_axi_bresp,
  output wire s_axi_bvalid,
  input  wire s_axi_bready,
  input  wire [5:0] s_axi_araddr,
  input  wire [2:0] s_axi_arprot,
  input  wire s_axi_arvalid,
  output wire s_axi_arready,
  output wire [31:0] s_axi_rdata,
  output wire [1:0] s_axi_rresp,
  output wire s_axi_rvalid,
  input  wire s_axi_rready
);

  wire hold, begun, done, early;
  wire [31:0] packet;
  wire image_valid, image_ready, result_valid, result_ready;
  wire [{beat}:0] image_data;
  wire [{result}:0] result_data;
  wire cfg_valid, cfg_write;
  wire [{memory}:0] cfg_memory;
  wire [{address}:0] cfg_address;
  wire [{word}:0] cfg_wdata, cfg_rdata;
  wire [{memories}:0] detected;

  assign s_axi_bresp = 2'b00;
  assign s_axi_rresp = 2'b00;

  axi_input #(
{of_input}
  ) u_input (
    .clk_i(aclk),
    .rst_ni(aresetn),
    .hold_i(hold),
    .valid_i(s_axis_tvalid),
    .ready_o(s_axis_tready),
    .data_i(s_axis_tdata),
    .last_i(s_axis_tlast),
    .valid_o(image_valid),
    .ready_i(image_ready),
    .data_o(image_data),
    .begun_o(begun),
    .early_o(early)
  );

{accelerator}
  axi_output #(
{of_output}
  ) u_output (
    .clk_i(aclk),
    .rst_ni(aresetn),
    .packet_i(packet),
    .valid_i(result_valid),
    .ready_o(result_ready),
    .data_i(result_data),
    .valid_o(m_axis_tvalid),
    .ready_i(m_axis_tready),
    .data_o(m_axis_tdata),
    .last_o(m_axis_tlast),
    .done_o(done)
  );

  axi_registers #(
{of_registers}
  ) u_registers (
    .clk_i(aclk),
    .rst_ni(aresetn),
    .awvalid_i(s_axi_awvalid),
    .awready_o(s_axi_awready),
    .awaddr_i(s_axi_awaddr),
    .wvalid_i(s_axi_wvalid),
    .wready_o(s_axi_wready),
    .wdata_i(s_axi_wdata),
    .wstrb_i(s_axi_wstrb),
    .bvalid_o(s_axi_bvalid),
    .bready_i(s_axi_bready),
    .arvalid_i(s_axi_arvalid),
    .arready_o(s_axi_arready),
    .araddr_i(s_axi_araddr),
    .rvalid_o(s_axi_rvalid),
    .rready_i(s_axi_rready),
    .rdata_o(s_axi_rdata),
    .begun_i(begun),
    .done_i(done),
    .early_i(early),
    .hold_o(hold),
    .packet_o(packet),
    .detected_i(detected),
    .cfg_valid_o(cfg_valid),
    .cfg_write_o(cfg_write),
    .cfg_memory_o(cfg_memory),
    .cfg_address_o(cfg_address),
    .cfg_data_o(cfg_wdata),
    .cfg_data_i(cfg_rdata)
  );

endmodule
"""
