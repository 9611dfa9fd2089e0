"""Noise in training is the noise of the certificate, and a widened input lowers exactly."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from flow.agreement import agree_qonnx
from flow.certify.noise import NoiseTable
from flow.ingest import lower
from flow.ir import IntType
from models.export import qonnx_file
from models.networks import floats, random_network
from models.noise import noisy, widened
from models.recipe import FullyConnected

DRAWS = 400_000
WIDE = IntType(12, signed=True)


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        yield


@pytest.mark.parametrize("sigma", [0.5, 3.0])
def test_it_is_distributed_as_the_noise_of_the_certificate(sigma):
    found = noisy(torch.zeros(DRAWS), sigma, WIDE).long()
    table = NoiseTable.of(Fraction(sigma), bits=64, span=WIDE.hi - WIDE.lo)
    for level in range(-8, 9):
        share = float(table.probability(level))
        deviation = math.sqrt(share * (1 - share) / DRAWS)
        assert abs((found == level).double().mean().item() - share) <= 5 * deviation


def test_noisy_pixels_are_integers_clipped_to_the_declared_range():
    kind = IntType(5).within(0, 16)
    found = noisy(torch.full((1000,), 15.0), 4.0, kind)
    assert set(found.tolist()) <= set(range(17))
    assert (found == 16).double().mean() > 0.3  # all the noise above it
    assert len(found.unique()) > 8


def test_a_widened_type_declares_the_pixels_and_the_noise_on_both_sides():
    assert str(widened(IntType(8), 32.0, 3)) == "s10[-96..351]"
    assert str(widened(IntType(5).within(0, 16), 0.7, 2)) == "s6[-2..18]"


@pytest.mark.parametrize("bits", [1, 4])
def test_a_network_with_a_widened_input_lowers_exactly(bits, tmp_path):
    kind = widened(IntType(8), 50.0, 3)
    network = FullyConnected(
        kind="fully-connected", hidden=[16], weight_bits=bits, activation_bits=bits
    )
    model = random_network(network, shape=(30,), classes=4, pixel=kind, seed=0)
    path = tmp_path / "wide.onnx"
    path.write_bytes(qonnx_file(model, floats(network, np.zeros((1, 30), np.int64)), kind, {}))
    lowered = lower(path)
    assert lowered.graph.input_edge.type == kind
    x = np.random.default_rng(0).integers(kind.lo, kind.hi + 1, (40, 30))
    x[0], x[1] = kind.lo, kind.hi
    assert agree_qonnx(path, lowered, x).holds
