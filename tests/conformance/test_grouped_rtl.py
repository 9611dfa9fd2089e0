"""Grouped and depthwise products equal the reference, fed in the order window.sv gives."""

from dataclasses import replace

import numpy as np
import pytest

from flow.build.parameters import unit_parameters
from flow.ir import Edge, IntType
from flow.ops import Decode, MatVec
from sim.kernels import KernelRun, run_kernels
from sim.unit import run_unit
from tests.conformance.hls_units import CACHE, any_codes, fold
from tests.conformance.rtl_units import stored_case
from tests.conformance.test_window_rtl import in_order

STAGES = 5  # as matvec.sv

# rows, groups, positions, channels of a group, folding, input, weights, accumulator, popcount
GROUPED = [
    (6, 3, 4, 2, fold(2, 2), "u4", "s4", "s12", False),
    (8, 2, 3, 4, fold(2, 6), "b1", "b1", "u3", True),  # the popcount wraps
    (4, 4, 9, 1, fold(1, 3), "s3", "s3", "s10", False),  # one row and one channel each
    (4, 2, 1, 2, fold(2, 1), "u4", "b1", "s8", False),
]
# channels, taps, lanes, input, weights, accumulator, popcount or clamp
DEPTHWISE = [
    (6, 9, 2, "u4", "s4", "s12", False),
    (6, 9, 6, "s3", "s4", "s6", False),  # wraps
    (4, 9, 1, "b1", "b1", "u4", True),
    (4, 6, 4, "b1", "b1", "u2", True),  # the popcount wraps
    (4, 4, 2, "u5", "b1", "s9", False),
    (4, 4, 2, "b1", "s3", "s6", False),
    (3, 25, 3, "u8", "s8", "s22", False),
    (4, 5, 2, "u4", "s4[-7..7]", "s10", "clamp"),  # the least code is read as the least but one
    (2, 1, 1, "u4", "s4", "s8", False),  # one tap
    (1, 1, 1, "s2", "s2", "s4", False),
]


def grouped_op(rows, groups, positions, inner, kinds, popcount, rng):
    """A MatVec of any stored codes with inputs that hold both extremes."""
    source, kind, accumulator = (IntType.parse(text) for text in kinds)
    weights = any_codes(rng, kind, (rows, positions * inner))
    weights[0], weights[-1] = kind.code_lo, kind.code_hi
    decode = Decode.CLAMP if popcount == "clamp" else Decode.PLAIN
    layout = {"groups": groups, "positions": positions}
    op = MatVec(weights, kind, accumulator, decode, popcount is True, **layout)
    x = any_codes(rng, source, (4, positions * groups * inner))
    x[0], x[-1] = source.code_lo, source.code_hi
    return op, source, x


def parameters(op, folding, source):
    """Those of the unit for the same rows and columns without groups."""
    plain = replace(op, groups=1, positions=1)
    return unit_parameters(plain, folding, "unit", Edge(op.weights.shape[1:], source))


def grouped_case(number):
    """One row of the first table, on matvec.sv."""
    rows, groups, positions, inner, folding, *kinds, popcount = GROUPED[number]
    rng = np.random.default_rng(number)
    op, source, x = grouped_op(rows, groups, positions, inner, kinds, popcount, rng)
    steps = positions * inner // folding.simd
    fed = in_order(x.reshape(len(x), positions, -1), groups).reshape(len(x), -1, folding.simd)
    given = parameters(op, folding, source) | {"Groups": groups}
    return stored_case(
        f"g{number}", op, folding, source, x, steps=steps, stages=STAGES, parameters=given, fed=fed
    )


def depthwise_case(number, *, parity=False):
    """One row of the second table, on depthwise.sv."""
    channels, taps, pe, *kinds, popcount = DEPTHWISE[number]
    rng = np.random.default_rng(number)
    op, source, x = grouped_op(channels, channels, taps, 1, kinds, popcount, rng)
    folding = fold(pe)
    fed = in_order(x.reshape(len(x), taps, -1), channels // pe).reshape(len(x), -1, pe)
    given = parameters(op, folding, source)
    del given["Simd"], given["Groups"]
    name = f"p{number}" if parity else f"d{number}"
    sizes = {"steps": taps, "stages": STAGES, "parity": parity}
    return stored_case(name, op, folding, source, x, **sizes, parameters=given, fed=fed)


@pytest.mark.rtl
def test_a_grouped_product_equals_the_reference(simulator, compiled, tmp_path):
    cases = [grouped_case(number) for number in range(len(GROUPED))]

    run_unit("matvec", cases, work=tmp_path, cache=compiled, simulator=simulator)


def test_a_grouped_product_of_the_kernel_equals_the_reference():
    cases = [grouped_case(number) for number in range(len(GROUPED))]
    runs = [
        KernelRun(c.parameters, c.inputs, (len(c.inputs) // c.vector,), c.stores[0].image)
        for c in cases
    ]

    for case, written in zip(cases, run_kernels("matvec", runs, binaries=CACHE), strict=True):
        assert tuple(written) == case.outputs


@pytest.mark.rtl
def test_a_depthwise_product_equals_the_reference(simulator, compiled, tmp_path):
    cases = [depthwise_case(number) for number in range(len(DEPTHWISE))]
    cases.append(depthwise_case(0, parity=True))

    run_unit("depthwise", cases, work=tmp_path, cache=compiled, simulator=simulator)
