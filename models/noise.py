"""Rounded Gaussian noise on the pixel grid, as ``flow.certify.smoothing`` adds it to images.

J. Lin et al., Integer-Arithmetic-Only Certified Robustness for Quantized Neural Networks, ICCV
2021, train with discrete Gaussian noise. Ours is ``round(sigma * g)``, for which the theorem of
the smoothed classifier needs no new proof.
"""

from __future__ import annotations

from math import ceil

import torch
from torch import Tensor

from flow.ir import IntType


def noisy(x: Tensor, sigma: float, kind: IntType) -> Tensor:
    """``x`` plus rounded noise of torch's generator, clipped to what ``kind`` declares."""
    return (x + torch.round(sigma * torch.randn_like(x))).clamp(kind.lo, kind.hi)


def widened(pixel: IntType, sigma: float, deviations: float) -> IntType:
    """A type for pixels with noise of up to so many standard deviations; wider noise is clipped."""
    reach = ceil(sigma * deviations)
    low, high = pixel.lo - reach, pixel.hi + reach
    return IntType.holding(low, high).within(low, high)
