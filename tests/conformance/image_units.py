"""Image units under test: frames as stream words, and the cycle in which each word is due."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from flow.ir import Edge, IntType
from flow.ops import Window
from sim.vectors import Case
from tests.conformance.hls_units import any_codes, beats

FRAMES = 4
AXES = ("H", "W")


def kind_number(kind):
    """What the parameters ``InKind`` mean."""
    return 2 if kind.bipolar else 1 if kind.signed else 0


def frames(kind, shape, *, seed=0):
    """Frames of any stored code; the first all lowest, the last all highest."""
    x = any_codes(np.random.default_rng(seed), kind, (FRAMES, *shape))
    x[0], x[-1] = kind.code_lo, kind.code_hi
    return x


def geometry(shape, lanes, **pairs):
    """The parameters an image unit has for its input, and (height, width) pairs by name."""
    sizes = dict(zip(("Height", "Width", "Channels"), shape, strict=True))
    spread = {
        f"{name}{axis}": v
        for name, pair in pairs.items()
        for axis, v in zip(AXES, pair, strict=True)
    }
    return {**sizes, "Lanes": lanes, **spread}


def words(values, kind, lanes):
    """Values of shape (..., channels) as stream words."""
    return tuple(beats(kind.encode(values), lanes, kind.bits))


def frame_cycles(op, lanes, source, *, taps=1):
    """The datasheet's cycles per frame: words in, or words out times the words that each takes."""
    return max(source.elements, op.out_type(source).elements * taps) // lanes


def image_case(name, op, source, x, *, lanes, parameters, outputs, schedule, taps=1):
    """One parameter set of a unit with one stream each way, fed the frames ``x``.

    The due cycles of whole frames must repeat with the period the datasheet promises.
    """
    edge = Edge(x.shape[1:], source)
    assert_period(schedule, frame_cycles(op, lanes, edge, taps=taps))
    return Case(
        name=name,
        parameters=parameters,
        in_bits=lanes * source.bits,
        out_bits=lanes * op.out_type(edge).type.bits,
        inputs=words(x, source, lanes),
        outputs=outputs,
        vector=edge.elements // lanes,
        steps=8 * edge.elements // lanes,
        stages=0,
        schedule=tuple(schedule),
    )


def assert_period(schedule, period):
    """The last word of the last two frames, and the first, come ``period`` cycles apart."""
    by_frame = np.reshape(schedule, (FRAMES, -1))
    np.testing.assert_array_equal(by_frame[-1] - by_frame[-2], period)


def window_schedule(shape, lanes, op, frames=FRAMES):
    """When each word of window.sv is due, from a model of its buffer alone.

    One kept word may enter per cycle while fewer than the depth are held; a window is read, one
    word per cycle, while its whole extent is held; after it the words before the next one leave.
    """
    beats = shape[-1] // lanes
    extent, depth, leaving = (np.multiply(n, beats).tolist() for n in _buffer(shape, op))
    kept = [row and column for row in _used(shape, op, 0) for column in _used(shape, op, 1)]
    arriving, leaving = np.repeat(kept, beats).tolist() * frames, leaving * frames
    size = op.kernel[0] * op.kernel[1] * beats
    due, held, came, left, cycle = [], 0, 0, 0, 0
    while left < len(leaving) * size:
        keeps = came < len(arriving) and arriving[came]
        enters = came < len(arriving) and (not keeps or held < depth)
        reads = held >= extent
        due += [cycle + 1] if reads else []
        left += reads
        done = reads and left % size == 0
        held += (enters and keeps) - (leaving[left // size - 1] if done else 0)
        came, cycle = came + enters, cycle + 1
    return due


def _buffer(shape, op):
    """Pixels of a window's extent, of the buffer, and those that leave after each window."""
    rows, columns = _positions(shape, op)
    span = [(k - 1) * d + 1 for k, d in zip(op.kernel, op.dilation, strict=True)]
    stride = [min(s, n) for s, n in zip(op.stride, span, strict=True)]
    width = (columns - 1) * stride[1] + span[1]
    extent = (span[0] - 1) * width + span[1]
    surplus = shape[0] - (rows - 1) * op.stride[0] - span[0]
    gaps = op.stride[0] >= span[0] and op.stride[1] >= span[1]
    spare = 0 if gaps else max(surplus, op.stride[0] - span[0] + 1, 0)
    starts = [y * stride[0] * width + x * stride[1] for y in range(rows) for x in range(columns)]
    leaving = [after - before for before, after in pairwise([*starts, starts[-1] + extent])]
    return extent, 2 * extent + spare * width, leaving


def _used(shape, op, axis):
    """Of one axis: whether each place lies between the ends of any window."""
    span = (op.kernel[axis] - 1) * op.dilation[axis] + 1
    starts = [w * op.stride[axis] for w in range(_positions(shape, op)[axis])]
    return [any(0 <= place - start < span for start in starts) for place in range(shape[axis])]


def _positions(shape, op):
    edge = Edge(tuple(shape), IntType(1))
    return op.out_type(edge).shape[:2]


def as_window(op):
    """The windows of a pool."""
    return Window(op.kernel, op.stride, getattr(op, "dilation", (1, 1)))
