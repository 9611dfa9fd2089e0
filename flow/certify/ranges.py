"""Which inputs a claim is about: how far each element may move, and between which limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from flow.certify.box import Box, input_box
from flow.errors import InputError
from flow.ir import Array, Graph


@dataclass(frozen=True, slots=True, eq=False)
class Ranges:
    """The elements that ``mask`` marks move, the others stay; no element leaves ``low .. high``.

    Each is one array of the input's shape for all images, or None: every element moves, and only
    the declared range limits it.
    """

    mask: Array | None = None
    low: Array | None = None
    high: Array | None = None

    def box(self, graph: Graph, x: Array, *, radius: int) -> Box:
        """``input_box`` within these limits.

        Raises:
            InputError: an array is none for the input, an image lies outside the limits, or
                ``input_box`` refuses.
        """
        box = input_box(graph, x, radius=radius)
        low, high = box.lo, box.hi
        for name, limit in (("low", self.low), ("high", self.high)):
            if limit is not None:
                _check_limit(graph, name, limit)
                outside = x < limit if name == "low" else x > limit
                if outside.any():
                    raise InputError(
                        f"image {int(np.argwhere(outside)[0][0])} lies outside the given range; "
                        "widen it"
                    )
        if self.low is not None:
            low = np.maximum(low, self.low)
        if self.high is not None:
            high = np.minimum(high, self.high)
        if self.mask is not None:
            if self.mask.shape != graph.input_edge.shape:
                raise InputError(
                    f"a mask of shape {self.mask.shape} is none for an input {graph.input_edge}"
                )
            moves = self.mask != 0
            low, high = np.where(moves, low, x), np.where(moves, high, x)
        return Box(low, high)

    @property
    def terms(self) -> dict[str, Any]:
        """What a certificate file says about them: marked elements and limits, flat, as JSON."""
        found: dict[str, Any] = {}
        if self.mask is not None:
            found["mask"] = np.flatnonzero(self.mask).tolist()
        for name, limit in (("low", self.low), ("high", self.high)):
            if limit is not None:
                found[name] = limit.ravel().tolist()
        return found


def load_ranges(mask: Path | None, limits: Path | None) -> Ranges:
    """Ranges from a ``.npy`` mask (0: stays, else: moves) and an ``.npz`` of ``low`` and ``high``.

    Raises:
        InputError: a file is missing, damaged or holds something else.
    """
    found: dict[str, Array | None] = {"mask": None, "low": None, "high": None}
    if mask is not None:
        marks = _read(mask)
        if isinstance(marks, Mapping):
            marks = _only(mask, marks, "mask")
        found["mask"] = marks
        if not marks.any():
            raise InputError(f"{mask}: marks no element; mark at least one that may move")
    if limits is not None:
        both = _read(limits)
        if not isinstance(both, Mapping) or not set(both) <= {"low", "high"} or not both:
            raise InputError(f"{limits}: want an .npz file of `low` and `high`, or one of them")
        found.update(both)
    return Ranges(**found)


def _read(path: Path) -> Any:
    try:
        found = np.load(path, allow_pickle=False)
        arrays = dict(found) if isinstance(found, np.lib.npyio.NpzFile) else {"": found}
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; save it with numpy") from None
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise InputError(f"{path}: not a numpy file of plain arrays ({error})") from None
    for name, array in arrays.items():
        if array.dtype.kind not in "biu":
            raise InputError(f"{path}: {name or 'the array'} is {array.dtype}; want integers")
    whole = {name: array.astype(np.int64) for name, array in arrays.items()}
    return whole.get("", whole)


def _only(path: Path, arrays: Mapping[str, Array], name: str) -> Array:
    if set(arrays) != {name}:
        raise InputError(f"{path}: holds {', '.join(sorted(arrays))}; want one array `{name}`")
    return arrays[name]


def _check_limit(graph: Graph, name: str, limit: Array) -> None:
    edge = graph.input_edge
    if limit.shape != edge.shape or not edge.type.contains(limit):
        raise InputError(
            f"`{name}` of shape {limit.shape}, {limit.min()} to {limit.max()}, is none for an "
            f"input {edge}"
        )
