"""The boards of ``hls/boards``: device, pins, clock, and the tools' arguments."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flow.errors import InputError

BOARDS = Path(__file__).resolve().parents[2] / "hls" / "boards"
PORTS = ("clock", "button", "receive", "transmit", "leds")


@dataclass(frozen=True, slots=True)
class Board:
    """A board of ``hls/boards``: its device, pins and clock, and how it is programmed."""

    name: str
    device: str
    family: str
    clock_hz: int
    baud: int
    constraints: Path
    synth: tuple[str, ...]  # arguments that select the device: of Yosys' command,
    place: tuple[str, ...]  # of place and route,
    pack: tuple[str, ...]  # and of packing
    program: str  # command line with {bitstream}
    high: tuple[str, ...]  # outputs held at 1
    ports: Mapping[str, str]
    button_active_low: bool
    leds: tuple[int, ...]  # which bit of the bridge's led_o each LED shows
    leds_active_low: tuple[int, ...]  # the LEDs that 0 lights

    @property
    def top(self) -> str:
        """Of the generated module: the name as SystemVerilog allows it."""
        return self.name.replace("-", "_")

    @property
    def divider(self) -> int:
        """Clock cycles per bit on the serial line."""
        return round(self.clock_hz / self.baud)


def load_board(name: str) -> Board:
    """The board called ``name``.

    Raises:
        InputError: there is no such board.
    """
    known = sorted(path.parent.name for path in BOARDS.glob("*/board.toml"))
    if name not in known:
        raise InputError(f"board {name!r}: unknown; choose one of {', '.join(known)}")
    settings = tomllib.loads((BOARDS / name / "board.toml").read_text())
    leds = settings["leds"]
    return Board(
        name=name,
        device=settings["device"],
        family=settings["family"],
        clock_hz=settings["clock_hz"],
        baud=settings["baud"],
        constraints=(BOARDS / name / settings["constraints"]).resolve(),
        synth=tuple(settings.get("synth", ())),
        place=tuple(settings["place"]),
        pack=tuple(settings.get("pack", ())),
        program=settings["program"],
        high=tuple(settings.get("high", ())),
        ports={port: settings["ports"][port] for port in PORTS},
        button_active_low=settings.get("button", {}).get("active_low", False),
        leds=tuple(leds["shows"]),
        leds_active_low=tuple(leds.get("active_low", ())),
    )
