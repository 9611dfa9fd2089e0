"""Axes of the file against axes of the graph: files keep channels first, the graph keeps them last.

The elements of an edge are counted in the graph's own order, channels last. A *view* is an array of
the file's axes, without the batch, that holds at every place the number of the element there; so it
also says in which order a flattened image stands in the file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from math import prod
from typing import Any

import numpy as np

from flow.ingest.reader import Source
from flow.ingest.steps import Step
from flow.ir import Array

_PASSING = (
    "Add", "BipolarQuant", "Cast", "Clip", "DequantizeLinear", "Div", "Identity",
    "IntQuant", "Mul", "MultiThreshold", "Quant", "QuantizeLinear", "Relu", "Sign", "Sub",
)  # fmt: skip  # in front of these and behind, the axes are the same
_LAST = ("Im2Col", "MaxPoolNHWC")


def image_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that the graph gives an image (C, H, W) or a line (C, L) of the file, channels
    last: (H, W, C), and (1, L, C)."""
    return (*(1,) * (3 - len(shape)), *shape[1:], shape[0])


def file_view(shape: tuple[int, ...]) -> Array:
    """The view of an edge of ``shape`` as the file has it: an image channels first."""
    places = np.arange(prod(shape)).reshape(shape)
    return np.moveaxis(places, -1, 0) if len(shape) == 3 else places


def is_channels_last(source: Source) -> bool:
    """Whether the file's input is an image (H, W, C): what works on its axes first is a Transpose
    to channels first, or wants the channels last."""
    name = source.input
    for node in source.nodes:
        if name not in node.inputs:
            continue
        if node.op == "Transpose":
            return node.attributes.get("perm") == [0, 3, 1, 2]
        if node.op in _LAST or node.text("data_layout", "") == "NHWC":
            return True
        if node.op not in _PASSING:
            return False
        name = node.outputs[0]
    return False


def input_shape_and_view(source: Source) -> tuple[tuple[int, ...], Array]:
    """The shape that the graph gives an image or a line of the input, and the file's view of it."""
    shape = source.input_shape
    if is_channels_last(source):
        return shape, channels_last_view(shape)
    whole = image_shape(shape)
    return whole, file_view(whole).reshape(shape)


def channels_last_view(shape: tuple[int, ...]) -> Array:
    """The view of an edge of ``shape`` where the file too has the channels last."""
    return np.arange(prod(shape)).reshape(shape)


def flattened(step: Step, places: int) -> Step:
    """A step of an image's channels as a step of the elements of all its ``places``."""
    return _each(step, lambda values: values * places)


def repeated(step: Step, places: int) -> Step:
    """The same where the elements of a channel stand together."""
    return _each(step, lambda values: tuple(v for v in values for _ in range(places)))


def _each(step: Step, spread: Callable[[tuple[Any, ...]], tuple[Any, ...]]) -> Step:
    changes: dict[str, Any] = {
        field.name: spread(value)
        for field in fields(step)
        if isinstance(value := getattr(step, field.name), tuple) and len(value) > 1
    }
    return replace(step, **changes) if changes else step
