"""C simulation: the HLS C++ of a build on the host, one thread per process."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from flow.build.axi import AXI_TOP
from flow.build.vitis import VITIS
from flow.errors import ClaimError, InputError
from flow.graphfile import load_graph
from flow.ir import Array, Graph
from sim.compile import HLS, compile_host

Progress = Callable[[int, int], None]
GENERATED = ("accelerator.cpp", "simulation.cpp")  # in the folder hls of a build


@dataclass(frozen=True, eq=False, slots=True)
class HlsResponse:
    """What an accelerator answered."""

    logits: Array  # (images, classes)
    classes: Array  # (images,)
    detected: Array  # (memories,), 1 where one has given a word of wrong parity, by its number


def simulate_hls(
    build_dir: Path,
    x: Array,
    *,
    sequential: bool = False,
    binaries: Path | None = None,
    progress: Progress | None = None,
    optimise: bool = True,
) -> HlsResponse:
    """Run the images ``x``, integers of shape (images, *input shape), through ``build_dir``/hls.

    Every process is a thread and every stream blocks at its planned depth, so a stream too shallow
    for the design stops the run here as it would stop the hardware. With ``sequential`` the
    processes run one after the other over unbounded streams, as in the vendor's C simulation.
    Compiled programs are kept in ``binaries``, by default ``csim`` beside the build; without
    ``optimise`` they compile sooner and run slower.

    Raises:
        InputError: ``x`` does not fit the input edge, or a tool is missing.
        ClaimError: deadlock (the line names processes and streams), words left over, or a program
            that does not compile or answer.
    """
    graph = load_graph(build_dir / "graph.json")
    codes = _codes(graph, x)
    generated = build_dir / "hls"
    if not generated.exists():
        raise InputError(f"{build_dir}: no folder hls; build again")
    program = compile_host(
        [HLS / "host" / "main.cpp", *(generated / name for name in GENERATED)],
        include=[generated],
        binaries=build_dir.parent / "csim" if binaries is None else binaries,
        optimise=optimise,
    )
    classes = graph.edge(graph.logits).elements
    answers = np.zeros((len(codes), 1 + classes), dtype=np.int64)
    mode = "sequential" if sequential else "threads"
    with tempfile.TemporaryFile() as stimulus, tempfile.TemporaryFile() as complaint:
        stimulus.write(codes.tobytes())
        stimulus.seek(0)
        command = [str(program), mode, str(len(codes))]
        with subprocess.Popen(
            command, stdin=stimulus, stdout=subprocess.PIPE, stderr=complaint, text=True
        ) as running:
            assert running.stdout is not None
            done, detected = _receive(running.stdout, answers, progress)
        if running.returncode or done != len(codes) or detected is None:
            complaint.seek(0)
            why = complaint.read().decode().strip() or f"exit status {running.returncode}"
            raise ClaimError(f"C simulation of {build_dir}: {why} ({done} of {len(codes)} images)")
    return HlsResponse(logits=answers[:, 1:], classes=answers[:, 0], detected=detected)


def check_vectors(build_dir: Path, vectors: str, *, binaries: Path, optimise: bool = True) -> None:
    """Run ``hls/vitis/bench.cpp`` on ``vectors`` with the top function of a build for Vitis.

    It is what the vendor's C simulation runs, compiled by the host against the stand-in headers.

    Raises:
        InputError: ``build_dir`` is no build for Vitis, or a tool is missing.
        ClaimError: a result or a stored word differs from the vectors; the line names it.
    """
    folder = build_dir / VITIS
    if not folder.is_dir():
        raise InputError(f"{build_dir}: no folder {VITIS}; build with --target {VITIS}")
    program = compile_host(
        [folder / "bench.cpp", folder / f"{AXI_TOP}.cpp", build_dir / "hls" / "accelerator.cpp"],
        include=[folder, build_dir / "hls"],
        binaries=binaries,
        optimise=optimise,
    )
    with tempfile.TemporaryDirectory() as work:
        path = Path(work) / "vectors.txt"
        path.write_text(vectors)
        done = subprocess.run(
            [str(program), str(path)], capture_output=True, text=True, check=False
        )
    if done.returncode:
        why = done.stderr.strip() or f"exit status {done.returncode}"
        raise ClaimError(f"C simulation of {folder}: {why}")


def _codes(graph: Graph, x: Array) -> Array:
    edge = graph.input_edge
    if x.shape[1:] != edge.shape or x.dtype.kind not in "iu" or not edge.type.contains(x):
        raise InputError(
            f"images of shape {x.shape[1:]} and type {x.dtype}: graph {graph.name!r} takes "
            f"integers {edge}; quantize them first"
        )
    return edge.type.encode(x.astype(np.int64)).reshape(len(x), edge.elements).astype("<i8")


def _receive(lines: IO[str], answers: Array, progress: Progress | None) -> tuple[int, Array | None]:
    """Fill ``answers`` line by line; return how many images came and, if that was all, what the
    memories had detected in the end."""
    done = 0
    for line in lines:
        if line.startswith("detected"):
            return done, np.array([int(flag) for flag in line.split()[1:]], dtype=np.int64)
        if done == len(answers):
            return done + 1, None
        answers[done] = [int(number) for number in line.split()]
        done += 1
        if progress is not None:
            progress(done, len(answers))
    return done, None
