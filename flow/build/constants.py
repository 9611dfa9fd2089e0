"""The constants of an Add: part of the circuit, read from an image but never written or struck."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flow.build.images import code_bits, image_text
from flow.ir import Array, IntType
from flow.ops import Add
from flow.schedule import Unit


@dataclass(frozen=True, slots=True)
class Constants:
    """The image of one unit's constants."""

    name: str  # "<node>.constants"
    text: str  # as ``$readmemh`` takes it


@dataclass(frozen=True, slots=True)
class ConstantLayout:
    """Word ``channel / lanes``; in a lane the multiplier of each input, then the offset."""

    channels: int  # of which there are constants; one word serves all where they are the same
    lanes: int
    multiplier_bits: int
    offset_bits: int
    inputs: int

    @staticmethod
    def of(op: Add, lanes: int, channels: int) -> ConstantLayout:
        """The narrowest layout, for ``channels`` of which ``lanes`` come at a time."""
        same = op.multipliers.shape[1] == op.offset.size == 1
        bits = (_signed_bits(op.multipliers), _signed_bits(op.offset))
        return ConstantLayout(lanes if same else channels, lanes, *bits, len(op.multipliers))

    def literal(self, op: Add) -> str:
        """The one word that serves all channels, as SystemVerilog writes a number."""
        bits = self.lanes * (self.inputs * self.multiplier_bits + self.offset_bits)
        return f"{bits}'h{self.text(op).strip()}"

    def text(self, op: Add) -> str:
        """The image of the constants of ``op``."""
        wide = (self.channels,)
        columns = [*op.multipliers, op.offset]
        widths = [self.multiplier_bits] * len(op.multipliers) + [self.offset_bits]
        bits = [
            code_bits(np.broadcast_to(column, wide)[:, None] & ((1 << width) - 1), width)
            for column, width in zip(columns, widths, strict=True)
        ]
        return image_text(np.concatenate(bits, axis=1).reshape(self.channels // self.lanes, -1))


def unit_constants(unit: Unit) -> Constants | None:
    """What the unit of an Add reads; None where one word serves all and is a parameter."""
    if unit.node is None or not isinstance(unit.node.op, Add):
        return None
    source = unit.sources[0]
    layout = ConstantLayout.of(unit.node.op, source.lanes, source.shape[-1])
    if layout.channels == layout.lanes:
        return None
    return Constants(f"{unit.name}.constants", layout.text(unit.node.op))


def _signed_bits(values: Array) -> int:
    return IntType.holding(min(-1, int(values.min())), int(values.max())).bits
