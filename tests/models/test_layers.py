"""The layers that all networks here are made of."""

import pytest
import torch

from flow.ir import IntType
from models.layers import input_type, pixels


@pytest.mark.parametrize(
    "kind",
    [IntType(1), IntType(5), IntType(8), IntType(6, signed=True), IntType(6, True).within(-6, 22)],
    ids=str,
)
def test_the_input_quantizer_changes_no_integer_and_has_scale_1(kind):
    quantizer = pixels(kind).eval()
    every = torch.arange(kind.code_lo, kind.code_hi + 1).float()
    assert torch.equal(quantizer(every), every)
    assert float(quantizer.act_quant.scale()) == 1
    assert input_type(torch.nn.Sequential(quantizer)) == kind
