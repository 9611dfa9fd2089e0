"""From a recipe's network table to the Brevitas model, its input and its integer logits."""

from __future__ import annotations

from math import prod

import numpy as np
import torch
from torch import Tensor, nn

from flow.errors import ClaimError, InputError
from flow.ir import Array, IntType
from models.cnv import cnv
from models.depthwise import depthwise
from models.fully_connected import fully_connected
from models.recipe import FullyConnected, Network, Stack
from models.resnet import resnet
from models.stack import stack

_CONVOLUTIONAL = {"cnv": cnv, "resnet": resnet, "depthwise": depthwise}
_CALIBRATION = 2, 8  # batches and images of each, of random pixels


def build(
    network: Network, *, shape: tuple[int, ...], classes: int, pixel: IntType
) -> nn.Sequential:
    """The untrained network for images of ``shape``, channels last, weights from torch's generator.

    Raises:
        InputError: the network does not take images of that shape.
    """
    if isinstance(network, FullyConnected):
        return fully_connected(network, inputs=prod(shape), classes=classes, pixel=pixel)
    if len(shape) != 3 or (network.kind == "cnv" and shape[:2] != (32, 32)):
        wanted = "32x32 images" if network.kind == "cnv" else "images"
        found = "x".join(map(str, shape))
        raise InputError(f"network {network.kind!r}: takes {wanted}, not {found}; use other data")
    if isinstance(network, Stack):
        return stack(network, shape=shape, classes=classes, pixel=pixel)
    made = _CONVOLUTIONAL[network.kind]
    return made(network, channels=shape[2], classes=classes, pixel=pixel)


def floats(network: Network, x: Array) -> Tensor:
    """Images (batch, H, W, C) or vectors as the network takes them: flat, or channels first."""
    values = torch.tensor(x, dtype=torch.float32)
    if isinstance(network, FullyConnected):
        return values.flatten(1)
    return values.permute(0, 3, 1, 2).contiguous()


def random_network(
    network: Network, *, shape: tuple[int, ...], classes: int, pixel: IntType, seed: int
) -> nn.Sequential:
    """An untrained network in evaluation mode that is no special case: scales and BatchNorm
    statistics are those of random pixels, gains have either sign, biases are not 0."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build(network, shape=shape, classes=classes, pixel=pixel).train()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, 0.0, 0.3)
                with torch.no_grad():
                    module.weight[::5] *= -1
                module.momentum = None  # the mean of all batches
        batches, size = _CALIBRATION
        with torch.no_grad():
            for _ in range(batches):
                x = torch.randint(pixel.lo, pixel.hi + 1, (size, *shape)).numpy()
                model(floats(network, x))
    return model.eval()


def integer_logits(model: nn.Sequential, x: Tensor) -> Array:
    """The integers (batch, classes) that the float logits of ``model`` for ``x`` stand for.

    A logit is a sum of codes times one scale. The sum is taken in integers here, for float32 rounds
    it: equal logits are equal again, so the class of a tie is the same in every engine, the
    smallest index. Hidden activations are those that the model computes.

    Raises:
        ClaimError: a float logit is further from its integer than float32 rounding takes it, so
            the last layer is not one product of quantized numbers.
    """
    hidden, last = model[:-1](x), model[-1]
    quantizer = next(m for m in reversed(list(model)[:-1]) if hasattr(m, "act_quant"))
    scales = [float(s) for s in (quantizer.act_quant.scale(), last.quant_weight().scale)]
    read, rows = (
        np.rint(values.double().numpy() / scale)
        for values, scale in zip((hidden, last.quant_weight().value), scales, strict=True)
    )
    exact = read @ rows.T  # in doubles: exact
    error = (abs(read) @ abs(rows).T) * (rows.shape[1] + 3) * 2.0**-23
    steps = last(hidden).double().numpy() / prod(scales)
    if not (abs(steps - exact) <= error).all():
        raise ClaimError(
            f"logits are no integers times {prod(scales)}; the last layer must be linear alone"
        )
    return exact.astype(np.int64)
