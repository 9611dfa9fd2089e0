"""Constants held by ops."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.int64]


def integers(values: ArrayLike) -> Array:
    """A read-only ``int64`` copy of ``values``, row by row; floats are refused, even whole ones.

    Raises:
        TypeError: ``values`` are not integers.
    """
    array = np.array(values, order="C")  # files store constants row by row
    if array.dtype.kind not in "iu":
        raise TypeError(f"constants must be integers, not {array.dtype}; round them at ingest")
    array = array.astype(np.int64, casting="same_kind", order="C")
    array.setflags(write=False)
    return array
