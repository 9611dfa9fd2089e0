"""Axes of the file against axes of the graph: files keep channels first, the graph keeps them last.

An image is (batch, C, H, W) in the file and (batch, H, W, C) in the graph. A flattened image keeps
each side's own order, so that its ``image`` (H, W, C) must be known to tell one from the other.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow.ingest.steps import Step

Image = tuple[int, int, int]  # (H, W, C)
Values = NDArray[Any]


def graph_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of one sample as the graph has it."""
    return (shape[1], shape[2], shape[0]) if len(shape) == 3 else shape


def to_file(values: Values, image: Image | None) -> Values:
    """A batch of the graph in the order of the file."""
    if values.ndim == 4:
        return np.moveaxis(values, 3, 1)
    if image is None:
        return values
    return np.moveaxis(values.reshape(-1, *image), 3, 1).reshape(values.shape)


def columns_from_file(values: Values, image: Image | None) -> Values:
    """An array whose last axis runs over the features of a file, in the order of the graph."""
    if image is None:
        return values
    height, width, channels = image
    split = values.reshape(*values.shape[:-1], channels, height, width)
    return np.moveaxis(split, -3, -1).reshape(values.shape)


def graph_place(place: tuple[int, ...], image: Image | None) -> tuple[int, ...]:
    """Where the graph has the element that the file has at ``place`` (the batch first)."""
    if len(place) == 4:
        sample, channel, row, column = place
        return sample, row, column, channel
    if image is None:
        return place
    height, width, channels = image
    channel, row, column = map(int, np.unravel_index(place[1], (channels, height, width)))
    return place[0], (row * width + column) * channels + channel


def flattened(step: Step, places: int) -> Step:
    """A step of an image's channels as a step of the elements of all its ``places``."""
    changes: dict[str, Any] = {
        field.name: value * places
        for field in fields(step)
        if isinstance(value := getattr(step, field.name), tuple) and len(value) > 1
    }
    return replace(step, **changes) if changes else step
