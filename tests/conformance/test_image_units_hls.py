"""The kernels of the image units equal the reference on every word the RTL tests feed theirs."""

import re
from pathlib import Path

import numpy as np
import pytest

from flow.errors import ClaimError
from sim.kernels import KernelRun, run_kernels
from tests.conformance import (
    test_grouped_rtl,
    test_joins_rtl,
    test_pad_rtl,
    test_pool_rtl,
    test_window_rtl,
)
from tests.conformance.hls_units import CACHE
from tests.conformance.image_units import FRAMES

HLS = Path(__file__).resolve().parents[2] / "hls"
IMAGE_CASES = {
    "window": [test_window_rtl.case(i) for i in range(len(test_window_rtl.CASES))],
    "pad": [test_pad_rtl.case(i) for i in range(len(test_pad_rtl.CASES))],
    "maxpool": [test_pool_rtl.case(i, largest=True) for i in range(len(test_pool_rtl.CASES))],
    "sumpool": [test_pool_rtl.case(i, largest=False) for i in range(len(test_pool_rtl.CASES))],
}


def ordered(unit, parameters):
    """The parameters in the kernel's order; a kernel has its constants as a table."""
    rtl = (HLS / "rtl" / f"{unit}.sv").read_text()
    names = re.findall(r"^  parameter int (\w+)", rtl, flags=re.MULTILINE)
    return {name: parameters[name] for name in names if name in parameters}


@pytest.mark.parametrize("unit", IMAGE_CASES)
def test_an_image_kernel_equals_the_reference(unit):
    cases = IMAGE_CASES[unit]
    runs = [KernelRun(ordered(unit, case.parameters), case.inputs, (FRAMES,)) for case in cases]

    for case, written in zip(cases, run_kernels(unit, runs, binaries=CACHE), strict=True):
        assert tuple(written) == case.outputs, case.name


def test_the_depthwise_kernel_equals_the_reference():
    cases = [test_grouped_rtl.depthwise_case(i) for i in range(len(test_grouped_rtl.DEPTHWISE))]
    runs = [
        KernelRun(c.parameters, c.inputs, (len(c.inputs) // c.vector,), c.stores[0].image)
        for c in cases
    ]

    for case, written in zip(cases, run_kernels("depthwise", runs, binaries=CACHE), strict=True):
        assert tuple(written) == case.outputs, case.name


def split(case):
    """The words of the first stream, and those of the second."""
    pairs = list(zip(case.sources, case.inputs, strict=True))
    return [[word for source, word in pairs if source == number] for number in (0, 1)]


@pytest.mark.parametrize("unit", ["add", "concat"])
def test_a_join_equals_the_reference(unit):
    case_of, table = {
        "add": (test_joins_rtl.add_case, test_joins_rtl.ADDS),
        "concat": (test_joins_rtl.concat_case, test_joins_rtl.CONCATS),
    }[unit]
    cases = [case_of(number) for number in range(len(table))]
    runs = []
    for case in cases:
        first, second = split(case)
        words = len(case.outputs) // FRAMES
        given = ordered(unit, case.parameters)
        runs.append(KernelRun(given, first, (words, FRAMES), case.image, second))

    for case, written in zip(cases, run_kernels(unit, runs, binaries=CACHE), strict=True):
        assert tuple(written) == case.outputs, case.name


def fork_runs():
    rng = np.random.default_rng(0)
    for outputs, bits in test_joins_rtl.FORKS:
        data = [int.from_bytes(rng.bytes(16), "little") % (1 << bits) for _ in range(12)]
        yield KernelRun({"Outputs": outputs, "Bits": bits}, data, (4, 3))


def test_a_fork_gives_every_word_to_every_consumer():
    runs = list(fork_runs())

    for run, written in zip(runs, run_kernels("eager_fork", runs, binaries=CACHE), strict=True):
        assert written == list(run.inputs) * run.parameters["Outputs"]


@pytest.mark.parametrize("unit", IMAGE_CASES)
def test_frames_cut_short_are_a_deadlock_and_longer_ones_are_left_over(unit):
    runs = [
        KernelRun(ordered(unit, case.parameters), case.inputs, (FRAMES,))
        for case in IMAGE_CASES[unit]
    ]
    short = [KernelRun(r.parameters, r.inputs[:-1], r.arguments) for r in runs]
    long = [KernelRun(r.parameters, (*r.inputs, 0), r.arguments) for r in runs]

    with pytest.raises(ClaimError, match=rf"kernel {unit}: .*main waits to read in \(empty\)"):
        run_kernels(unit, short, binaries=CACHE)
    with pytest.raises(ClaimError, match="left input words unread"):
        run_kernels(unit, long, binaries=CACHE)
