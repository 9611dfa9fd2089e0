"""What one flipped bit does to the output of its own node, for every bit of one channel at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import singledispatch
from typing import Any

import numpy as np

from flow.ir import Array, IntType
from flow.ops import Add, ArgMax, Decode, MatVec, Threshold


@singledispatch
def struck_outputs(op: Any, x: Array, *, unit: int) -> Mapping[str, Array]:
    """Output channel ``unit`` under each single flip of the parameters that decide it.

    Args:
        x: the clean input of the node, (batch, channels).

    Returns:
        For each stored parameter, (flips, batch) values, flips in the order of ``StoredBits``. A
        flip in ``parameter[unit]`` changes no other channel of the output.
    """
    raise TypeError(f"no fault effects for {type(op).__name__}; register them in {__name__}")


@struck_outputs.register
def _(op: MatVec, x: Array, *, unit: int) -> Mapping[str, Array]:
    row = op.weights[unit]
    delta = (_read(op, flipped(row, op.weight_type)) - _read(op, row)[:, None])[:, :, None]
    total = x @ _read(op, row) + delta * x.T[:, None, :]
    return {"weights": register(op, total).reshape(-1, len(x))}


@struck_outputs.register
def _(op: Threshold, x: Array, *, unit: int) -> Mapping[str, Array]:
    row, kind = op.thresholds[unit], op.threshold_type
    steps = row.size
    bank = np.broadcast_to(row, (steps, kind.bits, steps)).copy()
    bank[np.arange(steps), :, np.arange(steps)] = flipped(row, kind)
    # One channel per flip: the op itself then says what its compare form makes of each bank.
    flips = replace(
        op,
        thresholds=bank.reshape(-1, steps),
        sign=np.full(steps * kind.bits, op.sign[unit]),
    )
    seen = x[:, unit, None]
    struck = {"thresholds": flips.evaluate(np.repeat(seen, steps * kind.bits, axis=1)).T}
    if op.signs_stored:
        turned = replace(channel(op, unit), sign=-op.sign[unit : unit + 1])
        struck["sign"] = turned.evaluate(seen).T
    return struck


@struck_outputs.register(Add)
@struck_outputs.register(ArgMax)
def _(op: Add | ArgMax, x: Array, *, unit: int) -> Mapping[str, Array]:
    return {}


def register(op: MatVec, total: Array) -> Array:
    """What the accumulator of ``op`` holds for the exact sum ``total`` of products."""
    if op.popcount:
        total = (total + op.weights.shape[1]) // 2
    return op.accumulator.wrap(total)


@singledispatch
def channel(op: Any, unit: int) -> Any:
    """``op`` on channel ``unit`` alone, for an op that treats each channel by itself."""
    raise TypeError(f"{type(op).__name__} mixes channels; see {__name__}")


@channel.register
def _(op: Threshold, unit: int) -> Threshold:
    only = slice(unit, unit + 1)
    return replace(op, thresholds=op.thresholds[only], sign=op.sign[only])


@channel.register
def _(op: Add, unit: int) -> Add:
    only = slice(unit, unit + 1)
    multipliers, offset = op.multipliers, op.offset
    return replace(
        op,
        multipliers=multipliers[:, only] if multipliers.shape[1] > 1 else multipliers,
        offset=offset[only] if offset.size > 1 else offset,
    )


def flipped(values: Array, kind: IntType) -> Array:
    """(*values, bits): each value with each of its bits flipped."""
    return kind.decode(kind.encode(values)[..., None] ^ (1 << np.arange(kind.bits)))


def _read(op: MatVec, values: Array) -> Array:
    if op.decode is Decode.CLAMP:
        return np.clip(values, op.weight_type.lo, op.weight_type.hi)
    return values
