"""Each unit of the hardware library as a mover of words: the pace its RTL keeps, to the cycle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from flow.ops import MaxPool, Pad, SumPool, Threshold, Window
from flow.schedule.cycles import apart, pool_window
from flow.schedule.dataflow import Unit
from flow.schedule.tokens import Actor, Fork, Loop, Margins, Queue, Turns, Windows

MATVEC_STAGES = 5  # the latencies in the headers of hls/rtl: a word made is offered so much later
STAGES = {"threshold": 4, "add": 2, "pool": 2, "width": 1}


@dataclass(frozen=True, slots=True)
class Wiring:
    """A unit, its streams as numbers, and the depths of all FIFOs."""

    unit: Unit
    sources: tuple[int, ...]
    sinks: tuple[int, ...]
    depth: Mapping[str, int]  # of every FIFO, by name
    inner: int  # a number for a stream inside the unit


def movers(wiring: Wiring) -> list[Actor]:
    """The actors of one unit, from its sources to its sinks."""
    return MAKERS[wiring.unit.module](wiring)


def _matvec(w: Wiring) -> list[Actor]:
    vector, op = w.unit.vector, w.unit.matvec
    folds = len(op.weights) // op.groups // w.unit.sinks[0].lanes
    takes = b"\1" * vector + b"\0" * (vector * (folds - 1))
    makes = (b"\0" * (vector - 1) + b"\1") * folds
    return [Loop(w.sources, w.sinks[0], takes, makes, MATVEC_STAGES)]


def _depthwise(w: Wiring) -> list[Actor]:
    taps = int(w.unit.matvec.weights.shape[1])
    return [_gather(w, taps, MATVEC_STAGES)]


def _each(w: Wiring) -> list[Actor]:
    return [_gather(w, 1, STAGES[w.unit.module])]


def _search(w: Wiring) -> list[Actor]:
    op = cast(Threshold, _op(w))
    return [_gather(w, 1, search_stages(op.thresholds.shape[1]))]


def search_stages(steps: int) -> int:
    """Cycles from a word taken by threshold_search.sv to its result: two per stage, and one."""
    return 2 * steps.bit_length() + 1


def _argmax(w: Wiring) -> list[Actor]:
    source = w.unit.sources[0]
    return [_gather(w, source.words, 1 + (source.lanes - 1).bit_length())]


def _gather(w: Wiring, words: int, stages: int) -> Actor:
    """One word out for every ``words`` in."""
    return Loop(w.sources, w.sinks[0], b"\1" * words, b"\0" * (words - 1) + b"\1", stages)


def _width(w: Wiring) -> list[Actor]:
    before, after = w.unit.sources[0].lanes, w.unit.sinks[0].lanes
    if after > before:
        return [_gather(w, after // before, STAGES["width"])]
    ratio = before // after
    takes = b"\1" + b"\0" * (ratio - 1)
    return [Loop(w.sources, w.sinks[0], takes, b"\1" * ratio, STAGES["width"])]


def _fifo(w: Wiring) -> list[Actor]:
    return [Queue(w.sources[0], w.sinks[0], w.depth[w.unit.name])]


def _fork(w: Wiring) -> list[Actor]:
    return [Fork(w.sources[0], w.sinks)]


def _concat(w: Wiring) -> list[Actor]:
    turn = b"".join(bytes([i]) * source.image[2] for i, source in enumerate(w.unit.sources))
    return [Turns(w.sources, w.sinks[0], turn)]


def _pad(w: Wiring) -> list[Actor]:
    height, width, beats = w.unit.sources[0].image
    top, bottom, left, right = cast(Pad, _op(w)).margins
    row = b"\0" * left + b"\1" * width + b"\0" * right
    blank = b"\0" * len(row)
    pixels = blank * top + row * height + blank * bottom
    return [Margins(w.sources[0], w.sinks[0], _spread(pixels, beats))]


def _window(w: Wiring) -> list[Actor]:
    op = cast(Window, _op(w))
    return [_windows(w, op, w.sinks[0])]


def _pool(w: Wiring) -> list[Actor]:
    """Windows that share no pixel are reduced as the image passes, others come out of a window."""
    window, image = pool_window(cast(MaxPool | SumPool, _op(w))), w.unit.sources[0].image
    if not apart(window, image):
        taps = window.kernel[0] * window.kernel[1]
        makes = b"\0" * (taps - 1) + b"\1"
        reduced = Loop((w.inner,), w.sinks[0], b"\1" * taps, makes, STAGES["pool"])
        return [_windows(w, window, w.inner), reduced]
    rows, columns = (
        _lasts(kept, taps) for kept, taps in zip(_kept(window, image), window.kernel, strict=True)
    )
    makes = _spread(bytes(r and c for r in rows for c in columns), image[2])
    return [Loop(w.sources, w.sinks[0], b"\1" * len(makes), makes, STAGES["pool"])]


def _windows(w: Wiring, op: Window, sink: int) -> Windows:
    """The buffer of window.sv, whose derived constants these are."""
    height, _, beats = image = w.unit.sources[0].image
    spans = [d * (k - 1) + 1 for k, d in zip(op.kernel, op.dilation, strict=True)]
    out = [(n - span) // s + 1 for n, span, s in zip(image, spans, op.stride, strict=False)]
    rows, columns = _kept(op, image)
    kept = [min(s, span) for s, span in zip(op.stride, spans, strict=True)]
    kept_width = (out[1] - 1) * kept[1] + spans[1]
    extent = ((spans[0] - 1) * kept_width + spans[1]) * beats
    worst = max(height - (out[0] - 1) * op.stride[0] - spans[0], op.stride[0] - spans[0] + 1)
    separate = op.stride[0] >= spans[0] and op.stride[1] >= spans[1]
    spare = 0 if separate or worst < 0 else worst
    column = kept[1] * beats
    row = (kept[0] * kept_width - (out[1] - 1) * kept[1]) * beats
    line = [column] * (out[1] - 1)
    leaving = (*([*line, row] * (out[0] - 1)), *line, extent)
    keep = _spread(bytes(r and c for r in rows for c in columns), beats)
    words = op.kernel[0] * op.kernel[1] * beats
    depth = 2 * extent + spare * kept_width * beats
    return Windows(w.sources[0], sink, keep, leaving, words, extent, depth)


def _kept(op: Window, image: tuple[int, int, int]) -> tuple[list[bool], list[bool]]:
    """For each row and each column whether any window needs it, as crop.sv decides it."""
    sides = []
    for size, kernel, stride, dilation in zip(
        image, op.kernel, op.stride, op.dilation, strict=False
    ):
        span = dilation * (kernel - 1) + 1
        used = (size - span) // stride * stride + span
        sides.append([i < used and (stride <= span or i % stride < span) for i in range(size)])
    return sides[0], sides[1]


def _lasts(kept: list[bool], taps: int) -> list[bool]:
    """Which of the kept places is the last of a window, each being ``taps`` places."""
    order = [sum(kept[: place + 1]) for place in range(len(kept))]
    return [keep and number % taps == 0 for keep, number in zip(kept, order, strict=True)]


def _spread(pixels: bytes, beats: int) -> bytes:
    """One flag per pixel as one per word."""
    return b"".join(bytes([flag]) * beats for flag in pixels)


def _op(w: Wiring) -> object:
    assert w.unit.node is not None
    return w.unit.node.op


MAKERS: Mapping[str, Callable[[Wiring], list[Actor]]] = {
    "matvec": _matvec,
    "depthwise": _depthwise,
    "threshold": _each,
    "threshold_search": _search,
    "add": _each,
    "argmax": _argmax,
    "width": _width,
    "fifo": _fifo,
    "eager_fork": _fork,
    "concat": _concat,
    "pad": _pad,
    "window": _window,
    "maxpool": _pool,
    "sumpool": _pool,
}
