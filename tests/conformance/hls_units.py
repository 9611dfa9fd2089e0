"""Kernels under test: the words a unit takes and gives, by the layout the RTL has."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flow.build.images import image_bits, image_text, memory_layouts, pack, read_image
from flow.build.parameters import unit_parameters
from flow.ir import Edge
from flow.schedule import Folding
from sim.kernels import KernelRun

# compiled programs, by content: a second run of the tests compiles nothing
CACHE = Path(__file__).resolve().parents[2] / "build" / "csim"


def beats(codes, lanes, bits):
    """Codes of shape (vectors, elements) as stream words, lane 0 in the low bits."""
    return [pack(beat, bits) for beat in np.reshape(codes, (-1, lanes))]


def lanes_of(words, lanes, bits):
    """The codes of stream words, in element order: shape (words * lanes,)."""
    mask = (1 << bits) - 1
    return np.array([(word >> (lane * bits)) & mask for word in words for lane in range(lanes)])


def unit_run(op, folding, source, x):
    """The run of the kernel of ``op`` on ``x``, integers of shape (vectors, elements)."""
    edge = Edge(x.shape[1:], source)
    lanes = folding.simd if hasattr(op, "weights") else folding.pe
    memory = memory_layouts(op, folding, node="unit") if op.stored else ()
    words = [read_image(image_text(image_bits(op, layout))) for layout in memory]
    return KernelRun(
        parameters=unit_parameters(op, folding, "unit", edge),
        inputs=beats(source.encode(x), lanes, source.bits),
        arguments=(len(x),),
        memory=[word for image in words for word in image],
    )


def fold(pe, simd=1):
    """A folding, for tables of cases."""
    return Folding(pe, simd)


def any_codes(rng, kind, shape):
    """Values of any stored code, declared range or not, with both extremes common."""
    values = kind.decode(rng.integers(0, 1 << kind.bits, shape))
    ends = rng.choice([kind.code_lo, kind.code_hi], shape)
    return np.where(rng.random(shape) < 0.2, ends, values)
