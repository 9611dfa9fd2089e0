"""Margins that are left when bits of one layer's weights flip, in floats, with gradients.

The largest k gains of the bits of a row bound what k flips do to its sum; that is exact for the
layer's own sums, since two's complement is linear in its bits. A largest-k sum passes its gradient
to the gains it takes. For training only: certificates are ``flow.certify.k_flips``, which shares
flips among layers and counts thresholds and signs too.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.brevitas_api import qnn
from models.intervals import Interval, Statistics, margins, through


def bit_steps(layer: Any) -> Tensor:
    """By how much each stored bit moves its weight if flipped, (outputs, inputs, bits)."""
    quantized = layer.quant_weight()
    bits, scale = int(quantized.bit_width), quantized.scale
    if bits == 1:
        return -2 * quantized.value.detach()[..., None]
    code = torch.round(quantized.value / scale).detach().long()
    place = torch.arange(bits, device=code.device)
    worth = torch.where(place == bits - 1, -(1 << place), 1 << place)
    is_set = (code[..., None] >> place) & 1
    return (1 - 2 * is_set) * worth * scale


def struck_leads(
    model: nn.Sequential, x: Tensor, y: Tensor, *, flips: int, statistics: Statistics | None = None
) -> list[Tensor]:
    """For each weighted layer, (batch, classes): below the lead of ``y`` over each class while at
    most ``flips`` bits of that layer flip. 0 over the label itself.

    Exact for the last layer, and for the one before it where ``flips`` is 1.
    """
    chain, known = list(model)[1:], statistics or {}
    found: list[Tensor] = []
    value = x
    for at, layer in enumerate(chain[:-1]):
        if isinstance(layer, qnn.QuantLinear):
            found.append(_hidden(chain[at:], value, y, flips, known))
        value = through(layer, Interval(value, value), known).lo
    found.append(_last(chain[-1], value, y, flips))
    return found


def _last(layer: Any, value: Tensor, y: Tensor, flips: int) -> Tensor:
    weights, steps = layer.quant_weight().value, bit_steps(layer)
    clean = functional.linear(value, weights)
    gains = (steps[None] * value[:, None, :, None]).flatten(2)  # (batch, classes, bits of a row)
    classes = gains.shape[1]
    own = -gains[torch.arange(len(y)), y]
    both = torch.cat([own[:, None].expand(-1, classes, -1), gains], dim=2)
    lead = clean.gather(1, y[:, None]) - clean - _largest(both, flips)
    return torch.where(functional.one_hot(y, classes).bool(), 0.0, lead)


def _hidden(
    chain: list[Any], value: Tensor, y: Tensor, flips: int, statistics: Statistics
) -> Tensor:
    gains = (bit_steps(chain[0])[None] * value[:, None, :, None]).flatten(2)
    middle = functional.linear(value, chain[0].quant_weight().value)
    box = Interval(middle - _largest(-gains, flips), middle + _largest(gains, flips))
    clean = Interval(middle, middle)
    for at, layer in enumerate(chain[1:-1], start=1):
        if isinstance(layer, qnn.QuantLinear):  # what few rows do reaches every row behind
            return margins(nn.Sequential(*chain), _rest(chain[at:-1], box, statistics), y)
        box, clean = through(layer, box, statistics), through(layer, clean, statistics)
    weights = chain[-1].quant_weight().value
    rows = weights[y][:, None, :] - weights
    ends = torch.minimum(rows * box.lo[:, None, :], rows * box.hi[:, None, :])
    plain = rows * clean.lo[:, None, :]
    return plain.sum(2) - _largest(plain - ends, flips)  # so many rows are struck at most


def _rest(chain: list[Any], box: Interval, statistics: Statistics) -> Interval:
    for layer in chain:
        box = through(layer, box, statistics)
    return box


def _largest(gains: Tensor, count: int) -> Tensor:
    """The sum of the ``count`` largest of the last axis that are above 0."""
    top = gains.topk(min(count, gains.shape[-1]), dim=-1).values
    return top.clamp(min=0).sum(-1)
