"""The folder ``vitis`` of a build: the top function with its interfaces, for AMD's Vitis HLS.

``build.tcl`` and ``bench.cpp`` are those of ``hls/vitis``, word for word; ``vectors.txt`` has what
the graph answers, also while a stored bit of each memory is flipped through the configuration port.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from flow.build.axi import AXI_TOP, CLOCK_MHZ, PART, RESULT_BUS, AxiShape, axi_shape, settings_text
from flow.build.images import pack
from flow.build.netlist import TOP, Netlist
from flow.build.sites import SiteTable
from flow.ir import Array, Fault, Graph

HLS = Path(__file__).resolve().parents[2] / "hls"
VITIS = "vitis"  # the folder
IMAGES = 3  # of each call in vectors.txt
PART_BITS = 32  # of a stored word in one access
ARGUMENTS = ("vectors", "access", "memory", "address", "part", "value", "answer", "told", "return")
Flip = tuple[str, int, int, Fault | None]  # memory, word, bit; None: it stores no parameter


def vitis_files(
    net: Netlist, graph: Graph, vectors: str, *, digest: str, part: str = PART
) -> dict[str, str]:
    """The text of every file, by its name in the folder; kernels are included as they are."""
    shape = axi_shape(net, graph)
    kernels = sorted((HLS / "kernels").glob("*.hpp"))
    settings: dict[str, str | int | Sequence[str]] = {
        "network": graph.name,
        "digest": digest[:16],
        "top": AXI_TOP,
        "part": part,
        "clock_ns": f"{1000 / CLOCK_MHZ:.3f}",
    }
    return {
        f"{AXI_TOP}.hpp": _header(shape),
        f"{AXI_TOP}.cpp": _top(shape),
        "settings.tcl": settings_text(settings),
        "vectors.txt": vectors,
        **{name: (HLS / "vitis" / name).read_text() for name in ("build.tcl", "bench.cpp")},
        **{f"kernels/{path.name}": path.read_text() for path in kernels},
    }


def vectors_text(
    net: Netlist,
    graph: Graph,
    images: Mapping[str, Sequence[int]],
    x: Array,
    flips: Sequence[Flip],
) -> str:
    """The calls that ``bench.cpp`` makes: ``x`` clean, under each of ``flips``, and clean again.

    ``images`` has the words of each memory as built. Each flip is written, read and restored; what
    is written to constants must change nothing. With parity the memory tells of it, until then.
    """
    numbers = {memory.name: place for place, memory in enumerate(net.memories)}
    lines = [_run(net, graph, x, ())]
    for memory, word, bit, fault in flips:
        part, place = divmod(bit, PART_BITS)
        stored = images[memory][word] >> (part * PART_BITS) & ((1 << PART_BITS) - 1)
        where = f"{numbers[memory]:x} {word:x} {part:x}"
        struck = stored ^ (1 << place)
        lines += [f"read {where} {stored:x}", f"write {where} {struck:x}"]
        shown = [fault] if fault is not None and net.writable else []
        after = struck if net.writable else stored
        told = [f"told {numbers[memory]:x} {state}" for state in (3, 0)] if net.parity else []
        lines += [_run(net, graph, x, shown), *told[:1], f"read {where} {after:x}"]
        lines += [f"write {where} {stored:x}", f"read {where} {stored:x}", *told[1:]]
    return "\n".join([*lines, _run(net, graph, x, ()), ""])


def default_vectors(
    net: Netlist, graph: Graph, images: Mapping[str, Sequence[int]], sites: SiteTable
) -> str:
    """:func:`vectors_text` of a few random images and one flip of each memory."""
    edge, rng = graph.input_edge, np.random.default_rng(0)
    if edge.type.bipolar:
        x = rng.choice(np.array([-1, 1]), (IMAGES, *edge.shape))
    else:
        x = rng.integers(edge.type.lo, edge.type.hi, (IMAGES, *edge.shape), endpoint=True)
    return vectors_text(net, graph, images, x, list(_flips(sites)))


def _flips(sites: SiteTable) -> Iterator[Flip]:
    """The highest stored bit of the middle word of each memory."""
    for layout in sites.layouts:
        word = layout.words // 2
        for bit in reversed(range(layout.bits)):
            fault = sites.at(layout.name, word, bit).fault
            if fault is not None:
                yield layout.name, word, bit, fault
                break


def _run(net: Netlist, graph: Graph, x: Array, faults: Sequence[Fault]) -> str:
    shape = axi_shape(net, graph)
    values = graph.evaluate_all(x, faults)
    labels = values[graph.output].reshape(len(x))
    given, wanted = [], []
    codes = graph.input_edge.type.encode(x).reshape(len(x), shape.beats, -1)
    for image, label, logits in zip(codes, labels, values[graph.logits], strict=True):
        for beat in image.tolist():
            given += _words(pack(beat, graph.input_edge.type.bits), shape.bus, shape.words)
        result = pack([int(label), *logits.ravel().tolist()], 8 * shape.element)
        wanted += _words(result, RESULT_BUS, shape.result // RESULT_BUS)
    counted = (f"{len(words):x} {' '.join(words)}" for words in (given, wanted))
    return f"run {len(x):x} {' '.join(counted)}"


def _words(value: int, size: int, count: int) -> list[str]:
    """``count`` words of ``size`` bytes, the low one first, in hexadecimal."""
    return [f"{value >> (8 * size * place) & ((1 << (8 * size)) - 1):x}" for place in range(count)]


def _header(shape: AxiShape) -> str:
    return f"""\
#pragma once
// Generated: parameters only.

#include "{TOP}.hpp"

#include "ap_axi_sdata.h"

using ImageWord = ap_axiu<{8 * shape.bus}, 0, 0, 0>;
using ResultWord = ap_axiu<{8 * RESULT_BUS}, 0, 0, 0>;

{_PROTOTYPE};
"""


_PROTOTYPE = f"""\
void {AXI_TOP}(hls::stream<ImageWord>& images, hls::stream<ResultWord>& results, int vectors,
                     int access, int memory, int address, int part, ap_uint<32> value,
                     ap_uint<32>& answer, ap_uint<32>& told)"""


def _top(shape: AxiShape) -> str:
    inputs = f"/*Bytes*/ {shape.bus}, /*Words*/ {shape.words}, /*Beats*/ {shape.beats}, "
    inputs += f"/*Bits*/ {shape.bits}"
    outputs = (
        f"/*Classes*/ {shape.classes}, /*ClassBits*/ {shape.class_bits}, "
        f"/*LogitBits*/ {shape.logit_bits}, /*LogitSigned*/ {int(shape.logits_signed)}, "
        f"/*Bytes*/ {RESULT_BUS}, /*ElementBytes*/ {shape.element}"
    )
    ports = ["mode=axis port=images", "mode=axis port=results"]
    ports += [f"mode=s_axilite port={name} bundle=control" for name in ARGUMENTS]
    interface = "\n".join(f"#pragma HLS INTERFACE {port}" for port in ports)
    return f"""\
// Generated: parameters and instances only.

#include "{AXI_TOP}.hpp"

#include "axi_input.hpp"
#include "axi_output.hpp"

void run_images(hls::stream<ImageWord>& images, hls::stream<ResultWord>& results, int vectors) {{
#pragma HLS DATAFLOW
  hls::stream<InputWord> in("in");
#pragma HLS STREAM variable=in depth=2
  hls::stream<OutputWord> out("out");
#pragma HLS STREAM variable=out depth=2
  axi_input<{inputs}>(images, in, vectors);
  {TOP}(in, out, vectors);
  axi_output<{outputs}>(out, results, vectors);
}}

{_PROTOTYPE} {{
{interface}
  configure(access, memory, address, part, value, answer);
  run_images(images, results, vectors);
  report(memory, told);
}}
"""
