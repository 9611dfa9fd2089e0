"""The sources of a board's bitstream: the accelerator behind the board's serial port."""

from __future__ import annotations

from pathlib import Path
from shutil import copyfile
from typing import Any

from flow.atomic import write_atomic, write_json
from flow.build.board_text import board_text
from flow.build.boards import Board
from flow.build.manifest import Build
from flow.build.netlist import image_path, netlist
from flow.build.smoothing import Smoother

RTL = Path(__file__).resolve().parents[2] / "hls" / "rtl"
SERIAL = ("uart_rx", "uart_tx", "crc16", "uart_image", "uart_bridge", "fifo")
MODULES = ("power_on_reset", "polarity", *SERIAL)
SMOOTHING = ("smoother", "replay", "noise", "vote")
RECORD, FORMAT = "board.json", 3


def write_board(
    build: Build, board: Board, directory: Path, *, smoother: Smoother | None = None
) -> dict[str, Any]:
    """Fill ``directory`` with all that simulation and synthesis of the board's top need.

    The RTL and the images are the build's own files; relative paths in the RTL hold in
    ``directory``. With a ``smoother`` the board answers with votes under noise in place of logits.
    Returns the record that is also written as ``board.json``.

    Raises:
        InputError: the serial protocol cannot carry this network; the line says why.
    """
    graph = build.graph()
    net = netlist(graph, build.plan())
    text = board_text(net, graph, board, digest=build.graph_digest, smoother=smoother)
    for path in build.sources():
        _copy(path, directory / "rtl" / path.name)
    for module in MODULES if smoother is None else (*MODULES, *SMOOTHING):
        if not (directory / "rtl" / f"{module}.sv").exists():  # the build's own copy goes first
            _copy(RTL / f"{module}.sv", directory / "rtl" / f"{module}.sv")
    for image in map(image_path, net.images):
        _copy(build.directory / image, directory / image)
    for name in ("plan.json", "graph.json", "graph.safetensors"):
        _copy(build.directory / name, directory / name)
    _copy(board.constraints, directory / board.constraints.name)
    write_atomic(directory / "rtl" / f"{board.top}.sv", text)
    record = {
        "format": FORMAT,
        "board": board.name,
        "top": board.top,
        "clock_hz": board.clock_hz,
        "baud": board.clock_hz / board.divider,
        "ports": dict(board.ports),
        "button_active_low": board.button_active_low,
        "leds": {"shows": list(board.leds), "active_low": list(board.leds_active_low)},
        "graph_digest": build.graph_digest,
        "plan_digest": build.plan_digest,
        "smoothing": None if smoother is None else dict(smoother.terms),
        "memories": [{"name": m.name, "words": m.words, "bits": m.bits} for m in net.memories],
    }
    write_json(directory / RECORD, record)
    return record


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    copyfile(source, target)
