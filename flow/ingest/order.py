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

from flow.ingest.steps import Step
from flow.ir import Array


def graph_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that the graph gives a sample of the file: an image (C, H, W) is (H, W, C)."""
    return (shape[1], shape[2], shape[0]) if len(shape) == 3 else shape


def file_view(shape: tuple[int, ...]) -> Array:
    """The view of an edge of ``shape`` as the file has it: an image channels first."""
    places = np.arange(prod(shape)).reshape(shape)
    return np.moveaxis(places, -1, 0) if len(shape) == 3 else places


def flattened(step: Step, places: int) -> Step:
    """A step of an image's channels as a step of the elements of all its ``places``."""
    changes: dict[str, Any] = {
        field.name: value * places
        for field in fields(step)
        if isinstance(value := getattr(step, field.name), tuple) and len(value) > 1
    }
    return replace(step, **changes) if changes else step
