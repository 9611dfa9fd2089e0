"""The noise and vote kernels equal the reference that certificates are made from."""

from sim.kernels import KernelRun, run_kernels
from tests.conformance.hls_units import CACHE
from tests.conformance.smoothing_units import NOISES, VOTES, noise_unit, packed, vote_unit


def test_noise_is_that_of_the_reference_for_the_same_seed():
    for seed in (0, 11):
        runs, wanted = [], []
        for number in range(len(NOISES)):
            parameters, words, kind, x, noisy = noise_unit(number, seed)
            lanes, literal = parameters["Lanes"], parameters.pop("Constants")
            table = int(literal.split("'h")[1], 16)
            levels = [table >> 31 * k & (1 << 31) - 1 for k in range(parameters["Steps"])]
            runs.append(
                KernelRun(
                    parameters,
                    packed(x, kind, lanes),
                    (x.shape[1] // lanes, len(x)),
                    memory=[*levels, *words],
                )
            )
            wanted.append(list(packed(noisy, kind, lanes)))
        assert run_kernels("noise", runs, binaries=CACHE) == wanted


def test_votes_are_counted_and_the_smallest_class_wins_a_tie():
    for seed in (0, 11):
        units = [vote_unit(number, seed) for number in range(len(VOTES))]
        runs = [
            KernelRun(parameters, words, (len(outputs),))
            for parameters, words, outputs, _, _ in units
        ]
        assert run_kernels("vote", runs, binaries=CACHE) == [unit[2] for unit in units]
