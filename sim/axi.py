"""Simulate a Vivado build at its AXI pins, under the driver that a board has."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flow.build import load_build
from flow.build.axi import AXI_TOP
from flow.build.vivado import VIVADO
from flow.errors import InputError
from flow.ir import Array
from sim.runner import CompiledDesign, compile_design, simulate

BENCH = "sim.bench.axi_bench"
Place = tuple[str, int, int]  # memory, word, bit


@dataclass(frozen=True, eq=False, slots=True)
class AxiResponse:
    """What the driver was answered: rows of class and logits, int64.

    ``words`` has the stored word of each flip before it, with it and restored.
    """

    rows: Array  # (images, 1 + classes)
    flipped: tuple[Array, ...]  # the same for each flip
    words: tuple[tuple[int, ...], ...]
    again: tuple[Array, ...]  # after a broken image, after refusals, after a reset
    counters: dict[str, int]  # before these


def simulate_axi(
    directory: Path,
    x: Array,
    *,
    cache: Path,
    simulator: str = "verilator",
    batches: Sequence[int] = (),
    flips: Sequence[Place] = (),
    offer: str = "always",
    accept: str = "always",
) -> AxiResponse:
    """Run ``x``, (images, *input shape), in transfers of ``batches`` images (default: all in one).

    Then once more with each of ``flips`` written through the registers, one at a time. At the end
    the bench does what no driver would and expects it refused; ``offer`` and ``accept`` name the
    paces of ``sim.stream`` at which the DMA gives and takes words.

    Raises:
        InputError: ``directory`` is no build for Vivado, or ``batches`` are not all images.
        ClaimError: the bench failed: a stream or a register broke its rules.
    """
    build = load_build(directory)
    folder = directory / VIVADO
    if not folder.is_dir():
        raise InputError(f"{directory}: no folder {VIVADO}; build with --target {VIVADO}")
    batches = list(batches) or [len(x)]
    if sum(batches) != len(x):
        raise InputError(f"batches of {sum(batches)} images where there are {len(x)}")
    design = compile_design(
        [*build.sources(), *sorted((folder / "rtl").iterdir())],
        AXI_TOP,
        cache=cache,
        simulator=simulator,
        public={AXI_TOP: ("*",)},
    )
    job = {
        "record": json.loads((folder / "driver.json").read_text()),
        "images": x.reshape(len(x), -1).tolist(),
        "batches": batches,
        "flips": [list(place) for place in flips],
        "offer": offer,
        "accept": accept,
        "seed": 1,
    }
    answers = _answers(design, folder, job)
    return AxiResponse(
        rows=np.array(answers["runs"]),
        flipped=tuple(np.array(flip["rows"]) for flip in answers["flips"]),
        words=tuple(tuple(int(w, 16) for w in flip["words"]) for flip in answers["flips"]),
        again=tuple(np.array(answers[when]) for when in ("after early", "again", "reset")),
        counters=answers["counters"],
    )


def _answers(design: CompiledDesign, folder: Path, job: dict[str, Any]) -> dict[str, Any]:
    """What the bench wrote down of ``job``, with the memories of ``folder``."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        for image in (folder / "memories").iterdir():
            shutil.copy(image, work)
        (work / "job.json").write_text(json.dumps(job))
        simulate(design, BENCH, work=work)
        answers: dict[str, Any] = json.loads((work / "answers.json").read_text())
    return answers
