"""What Brevitas really exports of each operator, lowered and executed by qonnx."""

import contextlib
import io
import logging
import warnings

import pytest

from flow.agreement import agree_qonnx
from flow.ingest import lower
from models.brevitas_api import export_qonnx, qnn
from tests.agreement.test_float_engines import images

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import torch
    from brevitas.quant.scaled_int import TruncTo8bit
    from torch.nn.functional import adaptive_avg_pool1d, avg_pool2d, max_pool1d


def act(bits=4):
    return qnn.QuantIdentity(bit_width=bits, return_quant_tensor=True)


def layer(kind, *sizes, **options):
    return kind(*sizes, weight_bit_width=3, return_quant_tensor=False, **options)


class Network(torch.nn.Module):
    """A quantized input, a middle that a subclass builds, and a dense layer of four."""

    shape, width = (2, 8, 8), 3

    def __init__(self):
        super().__init__()
        self.start = act()
        self.build()
        self.last = layer(qnn.QuantLinear, self.width, 4, bias=False)

    def forward(self, x):
        return self.last(torch.flatten(self.middle(self.start(x)), 1))


class Pooled(Network):
    """TruncAvgPool2d and TruncAdaptiveAvgPool2d, rounding down or to nearest."""

    rounding, kernel = "floor", 2

    def build(self):
        self.conv = layer(qnn.QuantConv2d, 2, 3, 3, padding=1, bias=True)
        self.relu = qnn.QuantReLU(bit_width=4, return_quant_tensor=True)
        how = {"trunc_quant": TruncTo8bit, "float_to_int_impl_type": self.rounding}
        self.pool = qnn.TruncAvgPool2d(self.kernel, bit_width=4, **how)
        self.mean = qnn.TruncAdaptiveAvgPool2d((1, 1), bit_width=3, **how)

    def middle(self, x):
        return self.mean(self.pool(self.relu(self.conv(x))))


class RoundedPools(Pooled):
    rounding, kernel = "round", 3


class Line(Network):
    """Conv1d, depthwise too, with pools of lines."""

    shape, width = (2, 12), 4

    def build(self):
        self.conv = layer(qnn.QuantConv1d, 2, 4, 3, padding=1, bias=True)
        self.acts = torch.nn.ModuleList(act() for _ in range(3))
        self.deep = layer(qnn.QuantConv1d, 4, 4, 3, groups=4, stride=2, bias=False)
        self.norm = torch.nn.BatchNorm1d(4)

    def middle(self, x):
        x = max_pool1d(self.acts[0](self.conv(x)).value, 2)
        x = self.acts[1](self.norm(self.deep(x)))
        return self.acts[2](adaptive_avg_pool1d(x.value, 1))


class KeywordSpotting(Network):
    """A 1-D keyword-spotting network: 10 features of 49 frames, depthwise separable blocks."""

    shape, width = (10, 49), 16

    def build(self):
        relu = {"bit_width": 4, "return_quant_tensor": True}
        parts = [layer(qnn.QuantConv1d, 10, 16, 10, stride=2, padding=4, bias=False)]
        for _ in range(2):
            parts.append(layer(qnn.QuantConv1d, 16, 16, 3, padding=1, groups=16, bias=False))
            parts.append(layer(qnn.QuantConv1d, 16, 16, 1, bias=False))
        self.parts = torch.nn.Sequential(
            *(
                torch.nn.Sequential(part, torch.nn.BatchNorm1d(16), qnn.QuantReLU(**relu))
                for part in parts
            )
        )
        self.end = act()

    def middle(self, x):
        return self.end(adaptive_avg_pool1d(self.parts(x).value, 1))


class Branched(Network):
    """Four accumulators added and subtracted, two branches joined, averages of padded windows."""

    width = 5

    def build(self):
        self.paths = torch.nn.ModuleList(
            layer(qnn.QuantConv2d, 2, 3, 3, padding=1, bias=False) for _ in range(4)
        )
        self.acts = torch.nn.ModuleList(act() for _ in range(5))
        self.point = layer(qnn.QuantConv2d, 5, 5, 1, bias=True)

    def middle(self, x):
        first, second, third, fourth = (path(x) for path in self.paths)
        total = self.acts[0](first + second + third - fourth)
        joined = self.acts[1](torch.cat([total.value, x.value], dim=1))
        x = self.acts[2](self.point(joined)).value
        x = avg_pool2d(x, 3, 2, 1, count_include_pad=False)
        return self.acts[4](avg_pool2d(self.acts[3](x).value, 4))


@contextlib.contextmanager
def quiet():
    """Brevitas and torch warn, print and log while they export."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


@pytest.mark.parametrize("kind", [Pooled, RoundedPools, Line, KeywordSpotting, Branched])
@pytest.mark.parametrize("seed", [0, 1])
def test_what_brevitas_exports_agrees_at_every_quantizer(tmp_path, kind, seed):
    torch.manual_seed(seed)
    path = tmp_path / "net.onnx"
    with quiet():
        model = kind()
        model(torch.randn(32, *kind.shape))  # scales and statistics from data
        model.eval()
        x = torch.randn(1, *kind.shape)
        export_qonnx(model, x, str(path), dynamo=False, opset_version=17)
    lowered = lower(path)
    found = agree_qonnx(path, lowered, images(lowered, 20))
    assert (found.mismatches, found.logit_mismatches, found.class_mismatches) == (0, 0, 0)
    assert found.tensors >= 6
