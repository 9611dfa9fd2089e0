"""Tensors as images channels last: as they are, with axes restored, or a line as one row."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from flow.ingest.order import file_view
from flow.ingest.reader import SourceNode
from flow.ingest.state import Real, State
from flow.ingest.steps import Step
from flow.ir import Array
from flow.ops import Reshape, Transpose


@dataclass(frozen=True, eq=False, slots=True)
class Image:
    """A tensor whose edge is an image (height, width, channels); ``line``: the file's tensor is
    (channels, length), an image of height 1 without that axis."""

    real: Real
    shape: tuple[int, int, int]
    line: bool

    @property
    def axes(self) -> int:
        """How many spatial axes the file's tensor has."""
        return 1 if self.line else 2

    def result(self, state: State, edge: str, *steps: Step, quantized: bool = False) -> Real:
        """The tensor on ``edge``, an image again, with as many axes as this one has."""
        made = state.result(edge, *steps, quantized=quantized)
        return replace(made, view=made.view[:, 0]) if self.line else made


def as_image(state: State, node: SourceNode, real: Real) -> Image:
    """``real`` on an image edge, moved there where the file moved its axes."""
    line = real.view.ndim == 2
    if real.view.ndim not in (2, 3):
        raise node.refuse(
            f"an input of shape {real.view.shape} is no image; only 1-D and 2-D images are read"
        )
    view = real.view[:, None] if line else real.view
    channels, height, width = view.shape
    shape = (height, width, channels)
    if state.shape(real) == shape and np.array_equal(view, file_view(shape)):
        return Image(real, shape, line)
    moved = _moved(node, view, real)
    axes = sorted(range(3), key=lambda axis: -moved[axis])
    edge = real.edge
    ordered = tuple(view.shape[axis] for axis in axes)
    if state.shape(real) != ordered:
        edge = state.add("reshape", Reshape(ordered), (edge,), source=node)
    order = tuple(axes.index(axis) for axis in (1, 2, 0))
    if order != (0, 1, 2):
        edge = state.add("transpose", Transpose(order), (edge,), source=node)
    steps = tuple(_by_channel(node, step, real, state.shape(real)[-1]) for step in real.steps)
    target = file_view(shape)
    return Image(
        replace(real, edge=edge, steps=steps, view=target[:, 0] if line else target), shape, line
    )


def _moved(node: SourceNode, view: Array, real: Real) -> tuple[float, ...]:
    """How many elements of the edge apart neighbours along each axis stand; an axis of one
    element may stand anywhere."""
    strides = []
    for axis, size in enumerate(view.shape):
        first = np.moveaxis(view, axis, 0).reshape(size, -1)[:, 0]
        strides.append(int(first[1] - first[0]) if size > 1 else 0)
    whole = sum(
        (
            np.arange(size).reshape([-1 if a == axis else 1 for a in range(3)]) * stride
            for axis, (size, stride) in enumerate(zip(view.shape, strides, strict=True))
        ),
        np.zeros((1, 1, 1), dtype=np.int64),
    )
    dense = sorted(
        (stride, size) for stride, size in zip(strides, view.shape, strict=True) if size > 1
    )
    step = 1
    for stride, size in dense:
        if stride != step:
            break
        step *= size
    if step != real.view.size or not np.array_equal(whole, view):
        raise node.refuse("an image whose elements the file mixed; keep its axes whole")
    return tuple(strides)


def _by_channel(node: SourceNode, step: Step, real: Real, entries: int) -> Step:
    """A step of the channels of another edge as a step of the image's channels."""
    places = real.view % entries  # which entry of the old edge's channels an element has
    changes: dict[str, Any] = {}
    for field in fields(step):
        value = getattr(step, field.name)
        if not isinstance(value, tuple) or len(value) < 2:
            continue
        rows = places.reshape(len(places), -1)
        spread = [[value[place] for place in row] for row in rows]
        if any(len(set(row)) > 1 for row in spread):
            raise node.refuse(
                "a scale or bias that differs within a channel of the image; "
                "use one for each channel"
            )
        changes[field.name] = tuple(row[0] for row in spread)
    return replace(step, **changes) if changes else step
