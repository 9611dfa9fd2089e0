"""The families of devices that bitstreams are made for."""

from __future__ import annotations

from flow.errors import InputError
from flow.synth.ecp5 import ECP5
from flow.synth.family import Family
from flow.synth.gowin import GOWIN
from flow.synth.ice40 import ICE40

FAMILIES = {family.name: family for family in (ECP5, ICE40, GOWIN)}


def family_of(name: str, *, board: str) -> Family:
    """The family called ``name``, of ``board``.

    Raises:
        InputError: there is no such family.
    """
    if name not in FAMILIES:
        known = ", ".join(sorted(FAMILIES))
        raise InputError(f"board {board!r}: no tools for family {name!r}; known are {known}")
    return FAMILIES[name]
