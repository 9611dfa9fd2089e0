"""Axes of the file against axes of the graph: files keep channels first, the graph keeps them last.

The elements of an edge are counted in the graph's own order, channels last. A *view* is an array of
the file's axes, without the batch, that holds at every place the number of the element there; so it
also says in which order a flattened image stands in the file.
"""

from __future__ import annotations

from dataclasses import fields, replace
from math import prod
from typing import Any

import numpy as np

from flow.ingest.reader import Source
from flow.ingest.steps import Step
from flow.ir import Array

_PASSING = (
    "Add", "BipolarQuant", "Cast", "Clip", "Div", "Identity", "IntQuant", "Mul", "MultiThreshold",
    "Quant", "Relu", "Sign", "Sub",
)  # fmt: skip  # in front of these and behind, the axes are the same
_LAST = ("Im2Col", "MaxPoolNHWC")


def graph_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that the graph gives a sample of the file: an image (C, H, W) is (H, W, C)."""
    return (shape[1], shape[2], shape[0]) if len(shape) == 3 else shape


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
    """The shape that the graph gives an input of three axes, and the file's view of it."""
    shape = source.input_shape
    if is_channels_last(source):
        return shape, channels_last_view(shape)
    return graph_shape(shape), file_view(graph_shape(shape))


def channels_last_view(shape: tuple[int, ...]) -> Array:
    """The view of an edge of ``shape`` where the file too has the channels last."""
    return np.arange(prod(shape)).reshape(shape)


def flattened(step: Step, places: int) -> Step:
    """A step of an image's channels as a step of the elements of all its ``places``."""
    changes: dict[str, Any] = {
        field.name: value * places
        for field in fields(step)
        if isinstance(value := getattr(step, field.name), tuple) and len(value) > 1
    }
    return replace(step, **changes) if changes else step
