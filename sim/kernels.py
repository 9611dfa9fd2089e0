"""Run single HLS kernels on words: one program holds every parameter set of a unit."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flow.errors import ClaimError
from sim.compile import compile_host


@dataclass(frozen=True, slots=True)
class KernelRun:
    """One instance of a kernel, the words of its memory if it has one, and the words it is fed.

    ``arguments`` are the numbers the kernel takes after its streams and memory; ``second`` the
    words of its second stream, if it has one. Of several streams out, all words of one come before
    those of the next.
    """

    parameters: Mapping[str, int]
    inputs: Sequence[int]
    arguments: Sequence[int]
    memory: Sequence[int] = ()
    second: Sequence[int] | None = None


def run_kernels(stem: str, runs: Sequence[KernelRun], *, binaries: Path) -> list[list[int]]:
    """The words each run of ``hls/kernels/<stem>.hpp`` writes, in order.

    The program depends on the parameters and arguments only, so other words need no compilation.

    Raises:
        ClaimError: a kernel reads too much, leaves words unread, reports a stored word of wrong
            parity, or does not compile.
    """
    with tempfile.TemporaryDirectory() as work:
        main = Path(work) / f"{stem}_units.cpp"
        main.write_text(_program(stem, runs))
        program = compile_host([main], include=[], binaries=binaries, optimise=False)
    words = [word for run in runs for word in _stimulus(run)]
    done = subprocess.run(
        [str(program)], input=_hex(words), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ClaimError(f"kernel {stem}: {done.stderr.strip()}")
    blocks = done.stdout.split("\n\n")[:-1]
    return [[int(word, 16) for word in block.split()] for block in blocks]


def _stimulus(run: KernelRun) -> list[int]:
    streams = [run.inputs] if run.second is None else [run.inputs, run.second]
    return [*run.memory, *(word for words in streams for word in (len(words), *words))]


def _hex(words: Iterable[int]) -> str:
    return "\n".join(f"{word:x}" for word in words)


def _program(stem: str, runs: Sequence[KernelRun]) -> str:
    instances = [f"    {_call(stem, run)};" for run in runs]
    return "\n".join(
        [
            "#define AP_INT_MAX_W 8192",
            '#include "unit.hpp"',
            f'#include "{stem}.hpp"',
            "",
            "int main() {",
            "  return run_all([] {",
            *instances,
            "  });",
            "}",
            "",
        ]
    )


def _call(stem: str, run: KernelRun) -> str:
    given = ", ".join(map(str, run.parameters.values()))
    counts = ", ".join(map(str, run.arguments))
    if stem == "eager_fork":  # a pack of streams has no one address
        bits, outputs = run.parameters["Bits"], run.parameters["Outputs"]
        widths = ", ".join([str(bits)] * (1 + outputs))
        kernel = f"[](auto&... given) {{ eager_fork<{given}>(given...); }}"
        return f"run_fork<{widths}>({kernel}, {counts})"
    if stem == "threshold_search":  # a pack of tables
        kernel = f"[](auto&... given) {{ {stem}<{given}>(given...); }}"
        types = ", ".join(f"Table<{', '.join(map(str, sizes))}>" for sizes in _tables(run))
        ends = (run.parameters[end] * run.parameters["Lanes"] for end in ("AccBits", "OutBits"))
        return f"run_search<{', '.join(map(str, ends))}, {types}>({kernel}, {counts})"
    return f"run_unit({stem}<{given}>, {counts})"


def _tables(run: KernelRun) -> list[tuple[int, int, int]]:
    """Bits, lanes and words of the table of each stage of a search."""
    known = run.parameters
    bits, lanes = known["ThresholdBits"], known["Lanes"]
    folds, stages = known["Channels"] // lanes, known["Steps"].bit_length()
    parity = known.get("Parity", 0)
    later = [(bits + parity, lanes, folds << stage) for stage in range(1, stages)]
    return [(bits + known["SignsStored"] + parity, lanes, folds), *later]
