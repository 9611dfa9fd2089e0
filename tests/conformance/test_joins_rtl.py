"""The units with several streams on a side: add, concat and eager_fork."""

import numpy as np
import pytest

from flow.build.images import pack
from flow.ir import Edge, IntType
from flow.ops import Add, Concat
from sim.unit import run_unit
from sim.vectors import Case
from tests.conformance.hls_units import any_codes
from tests.conformance.image_units import frames, kind_number, words
from tests.conformance.test_buffers_rtl import words as any_words

PIXELS = (3, 2)  # height and width of every frame

# channels, lanes, inputs, multipliers, offsets, accumulator
ADDS = [
    (4, 2, ("u4", "u4"), "s4", "s4", "s9"),
    (6, 6, ("s5", "u3"), "s3", "s8", "s6"),  # wraps; streams of different types
    (3, 1, ("b1", "s4"), "s6", "s1", "s12"),
    (4, 4, ("u8", "b1"), "s2", "s9", "u7"),  # an unsigned accumulator wraps
    (4, 2, ("s7",), "s5", "s6", "s13"),  # rescaled
    (2, 1, ("b1",), "s9", "s3", "s5"),
    (1, 1, ("u31", "s31"), "s16", "s30", "s50"),
]
# channels, lanes, inputs, output
CONCATS = [
    ((4, 2), 2, ("u4", "u4"), "u4"),
    ((2, 6), 2, ("s3", "s6"), "s6"),  # the narrower one is extended
    ((1, 3), 1, ("u3", "s4"), "s6"),
    ((3, 3), 3, ("b1", "b1"), "b1"),
    ((5, 1), 1, ("u1", "u63"), "u63"),
]
FORKS = [(1, 4), (2, 8), (3, 1), (4, 70)]  # outputs, bits


def constants(rng, text, shape):
    """Constants of any code, both extremes among them, with their bits."""
    kind = IntType.parse(text)
    values = any_codes(rng, kind, shape)
    values.flat[0], values.flat[-1] = kind.code_lo, kind.code_hi  # the largest products
    return values, kind.bits


def joined(name, op, kinds, xs, *, lanes, parameters, image=(), stages):
    """A unit that takes the frames ``xs``, one array per stream."""
    edges = [Edge(x.shape[1:], kind) for x, kind in zip(xs, kinds, strict=True)]
    out = op.out_type(*edges).type
    outputs = words(op.evaluate(*xs), out, lanes)
    streams = [words(x, kind, lanes) for x, kind in zip(xs, kinds, strict=True)]
    return Case(
        name=name,
        parameters=parameters,
        in_bits=lanes * sum(kind.bits for kind in kinds),
        out_bits=lanes * out.bits,
        inputs=tuple(word for stream in streams for word in stream),
        outputs=outputs,
        vector=xs[0][0].size // lanes,
        steps=1,
        stages=stages,
        sources=tuple(number for number, stream in enumerate(streams) for _ in stream),
        widths=tuple(lanes * kind.bits for kind in kinds),
        image=image,
    )


def per_stream(kinds):
    """Bits and kind of each stream, of two even where there is one."""
    pairs = enumerate([*kinds, *kinds][:2])
    return {
        k: v for i, t in pairs for k, v in ((f"InBits{i}", t.bits), (f"InKind{i}", kind_number(t)))
    }


def add_case(number):
    """One row of the table; the constants have every sign and both extremes."""
    channels, lanes, kinds, multiplier, offset, accumulator = ADDS[number]
    kinds, rng = [IntType.parse(text) for text in kinds], np.random.default_rng(number)
    factors, factor_bits = constants(rng, multiplier, (len(kinds), channels))
    offsets, offset_bits = constants(rng, offset, channels)
    op = Add(factors, offsets, IntType.parse(accumulator))
    lane_words = [
        pack(column, factor_bits) | pack([shift], offset_bits) << len(kinds) * factor_bits
        for column, shift in zip(factors.T, offsets, strict=True)
    ]
    lane_bits = len(kinds) * factor_bits + offset_bits
    folds = [lane_words[at : at + lanes] for at in range(0, channels, lanes)]
    image = tuple(pack(lane, lane_bits) for lane in folds)
    only = {} if channels > lanes else {"Constants": f"{lanes * lane_bits}'h{image[0]:x}"}
    xs = [frames(k, (*PIXELS, channels), seed=10 * number + i) for i, k in enumerate(kinds)]
    return joined(
        f"a{number}",
        op,
        kinds,
        xs,
        lanes=lanes,
        parameters={
            "Inputs": len(kinds),
            "Channels": channels,
            "Lanes": lanes,
            **per_stream(kinds),
            "MultiplierBits": factor_bits,
            "OffsetBits": offset_bits,
            "AccBits": op.accumulator.bits,
            **only,
        },
        image=image,
        stages=2,
    )


def concat_case(number):
    """One row of the table."""
    channels, lanes, kinds, out = CONCATS[number]
    kinds, op = [IntType.parse(text) for text in kinds], Concat(IntType.parse(out))
    sizes = enumerate(zip(kinds, channels, strict=True))
    xs = [frames(kind, (*PIXELS, c), seed=10 * number + i) for i, (kind, c) in sizes]
    given = {"Channels0": channels[0], "Channels1": channels[1], "Lanes": lanes}
    given |= {**per_stream(kinds), "OutBits": op.output.bits}
    return joined(f"c{number}", op, kinds, xs, lanes=lanes, parameters=given, stages=1)


def fork_case(outputs, bits):
    """Random words for every consumer."""
    data = tuple(any_words(40, bits))
    return Case(
        name=f"f{outputs}",
        parameters={"Outputs": outputs, "Bits": bits},
        in_bits=bits,
        out_bits=bits,
        inputs=data,
        outputs=data,
        vector=1,
        steps=1,
        stages=0,
        sinks=outputs,
    )


@pytest.mark.rtl
def test_add_equals_the_reference(simulator, compiled, tmp_path):
    cases = [add_case(number) for number in range(len(ADDS))]

    run_unit("add", cases, work=tmp_path, cache=compiled, simulator=simulator)


@pytest.mark.rtl
def test_concat_equals_the_reference(simulator, compiled, tmp_path):
    cases = [concat_case(number) for number in range(len(CONCATS))]

    run_unit("concat", cases, work=tmp_path, cache=compiled, simulator=simulator)


@pytest.mark.rtl
def test_eager_fork_gives_every_word_to_every_consumer(simulator, compiled, tmp_path):
    cases = [fork_case(*size) for size in FORKS]

    run_unit("eager_fork", cases, work=tmp_path, cache=compiled, simulator=simulator)
