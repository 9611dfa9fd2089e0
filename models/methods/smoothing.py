"""Training under the noise of randomized smoothing, after IntRS.

J. Lin et al., Integer-Arithmetic-Only Certified Robustness for Quantized Neural Networks, ICCV
2021. The network sees every training image under fresh rounded Gaussian noise, so that it decides
under noise as it will when it is smoothed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from flow.ir import IntType
from models.layers import input_type, pixels
from models.noise import noisy, widened
from models.objective import Around, Batch, Method, Objective, Task, layers


class Smoothing(Method):
    """Noise ``round(sigma * g)`` in steps of the pixel grid, on every training image.

    With ``widen`` 0 noisy pixels are clipped to the data's range, so the clip is part of what is
    smoothed; else the input is wide enough for noise of so many standard deviations. The
    certificate clips to the network's own input range, so it smooths what was trained.
    """

    kind: Literal["smoothing"]
    sigma: Annotated[float, Field(gt=0)]
    widen: Annotated[float, Field(ge=0, le=6)] = 0.0

    def around(self, inner: Objective, task: Task) -> Objective:
        """Every image under noise of its own."""
        return _UnderNoise(inner, task, self)


@dataclass(frozen=True, eq=False)
class _UnderNoise(Around):
    settings: Smoothing

    @property
    def _kind(self) -> IntType:
        pixel, settings = self.task.pixel, self.settings
        return widened(pixel, settings.sigma, settings.widen) if settings.widen else pixel

    def prepare(self, model: nn.Sequential) -> nn.Sequential:
        """With an input quantizer as wide as the noise."""
        model = super().prepare(model)
        if self._kind != input_type(model):
            model[0] = pixels(self._kind)
        return model

    def loss(self, model: nn.Module, batch: Batch, *, done: float) -> Tensor:
        """Of images with noise of their own."""
        x = noisy(batch.x, self.settings.sigma, input_type(layers(model)))
        return super().loss(model, batch.moved(x), done=done)
