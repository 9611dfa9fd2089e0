"""Stored weights with flipped bits, in training: the codes that the exported graph will store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from models.layers import weighted


def random_masks(model: nn.Module, rate: float) -> list[Tensor]:
    """For each weighted layer the bits to flip (int64, shaped as its weights), each stored bit
    with probability ``rate``, from torch's generator."""
    return [
        random_mask(layer.weight.shape, int(layer.weight_quant.bit_width()), rate).to(
            layer.weight.device
        )
        for layer in weighted(model)
    ]


def random_mask(shape: Sequence[int], bits: int, rate: float) -> Tensor:
    """Codes of ``bits`` bits, each bit set with probability ``rate``."""
    struck = torch.rand(*shape, bits) < rate
    return (struck.to(torch.int64) << torch.arange(bits)).sum(dim=-1)


def struck_codes(codes: Tensor, mask: Tensor, bits: int) -> Tensor:
    """Integer weights with the bits of ``mask`` flipped as memory stores them: two's complement of
    ``bits`` bits, which can give the code that training never uses; 1 bit is -1 or +1."""
    if bits == 1:
        return codes * (1 - 2 * mask)
    low, size = 1 << (bits - 1), 1 << bits
    return (((codes & (size - 1)) ^ mask) + low) % size - low


@contextmanager
def struck(model: nn.Module, masks: Sequence[Tensor]) -> Iterator[None]:
    """Within, ``model`` computes with struck weights; gradients go straight through the flips.

    Nothing is moved by struck weights: activations keep their scales. BatchNorm, while training,
    takes the statistics of the batch and leaves its running ones alone.
    """
    modes = [(module, module.training) for module in model.modules()]
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    norms, layers = [m for m in norms if m.training], weighted(model)
    model.eval()
    try:
        for norm in norms:
            norm.training, norm.track_running_stats = True, False
        for layer, mask in zip(layers, masks, strict=True):
            layer.inner_forward_impl = _with_mask(layer, mask)
        yield
    finally:
        for layer in layers:
            vars(layer).pop("inner_forward_impl", None)
        for norm in norms:
            norm.track_running_stats = True
        for module, training in modes:
            module.training = training


def _with_mask(layer: Any, mask: Tensor) -> Any:
    """The layer's product, of the weights as they lie in memory."""
    plain = type(layer).inner_forward_impl

    def forward(x: Tensor, weight: Any, bias: Tensor | None) -> Tensor:
        bits = int(weight.bit_width)
        codes = torch.round(weight.value / weight.scale).to(torch.int64)
        moved = (struck_codes(codes, mask, bits) - codes) * weight.scale.detach()
        found: Tensor = plain(layer, x, weight.value + moved, bias)
        return found

    return forward
