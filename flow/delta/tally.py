"""What all flips did to all images, counted per flip and per image."""

from __future__ import annotations

from ctypes import POINTER, Structure, byref, c_double, c_int32, c_int64, c_uint8, c_void_p
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from flow.delta.walk import code
from flow.ir import Array


class _Arrays(Structure):
    _fields_ = (
        *((name, c_int64) for name in ("flips", "stride", "effects")),
        *((name, c_void_p) for name in ("counts", "critical", "rises")),
        *((name, c_void_p) for name in ("critical_faults", "lowest", "worst")),
    )


class Tally:
    """``counts`` (flips, effects); ``critical`` (flips, images / 8), one bit per image, set where
    the effect is above 1; per image ``critical_faults``, the ``lowest`` standing and the first
    flip that reaches it, ``worst`` (-1: there are no flips); per flip the sum of ``rises``."""

    def __init__(self, flips: int, images: int, effects: int) -> None:
        self.flips = flips
        self.counts = np.zeros((flips, effects), dtype=np.int64)
        self.critical: NDArray[np.uint8] = np.zeros((flips, -(-images // 8)), dtype=np.uint8)
        self.critical_faults = np.zeros(images, dtype=np.int64)
        self.lowest = np.full(images, np.iinfo(np.int64).max)
        self.worst = np.full(images, -1, dtype=np.int64)
        self.rises = np.zeros(flips)
        self._lock = Lock()
        arrays = (self.counts, self.critical, self.rises)
        per_image = (self.critical_faults, self.lowest, self.worst)
        self._arrays = _Arrays(
            flips,
            self.critical.shape[1],
            effects,
            *(array.ctypes.data for array in (*arrays, *per_image)),
        )

    def enter(
        self,
        part: slice,
        result: NDArray[np.int32],
        effect: NDArray[np.uint8],
        standing: Array,
        rise: NDArray[np.float64] | None = None,
    ) -> None:
        """Enter images ``part``: ``result`` (images, flips) numbers the rows of the others.

        One image is entered once; threads may enter different ones at the same time.
        """
        result = np.ascontiguousarray(result, dtype=np.int32)
        effect = np.ascontiguousarray(effect, dtype=np.uint8)
        standing = np.ascontiguousarray(standing, dtype=np.int64)
        rises = None if rise is None else np.ascontiguousarray(rise, dtype=np.float64)
        with self._lock:
            code().delta_tally(
                byref(self._arrays),
                result.ctypes.data_as(POINTER(c_int32)),
                part.start,
                part.stop - part.start,
                effect.ctypes.data_as(POINTER(c_uint8)),
                standing.ctypes.data_as(POINTER(c_int64)),
                None if rises is None else rises.ctypes.data_as(POINTER(c_double)),
            )
