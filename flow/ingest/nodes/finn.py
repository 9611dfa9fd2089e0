"""MultiThreshold of the FINN dialect: a staircase that is given, not derived."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np

from flow.ingest.nodes.quant import apply_quantizer
from flow.ingest.nodes.registry import reads
from flow.ingest.quantizer import Quantizer
from flow.ingest.reader import Constant, SourceNode
from flow.ingest.state import Real, State, Tensor, exact
from flow.ir import IntType

_MOST_BITS = 32  # of an input
_INTEGERS = re.compile(r"(U?)INT(\d{1,2})")


@reads("MultiThreshold", inputs=2, dialect="FINN")
def multi_threshold(state: State, node: SourceNode) -> Tensor:
    """``out_scale * #{t : x >= T[c, t]} + out_bias``, the thresholds as the exact floats they are.

    Where ``out_bias / out_scale`` is whole the integers are the values over ``out_scale``, so that
    a scale of 1 gives the values themselves; two values of equal size are -1 and +1.
    """
    real = state.real(node)
    table = state.constant(node, 1)
    if table.ndim != 2 or not table.shape[1]:
        raise node.refuse(f"thresholds of shape {table.shape}; use (channels or 1, steps)")
    scale, bias = node.number("out_scale", 1.0), node.number("out_bias", 0.0)
    if scale <= 0:
        raise node.refuse("an out_scale of 0 or below; negate the layer in front instead")
    table = np.sort(table, axis=1)  # a count does not depend on their order
    rows = _rows(state, node, real, table)
    steps = table.shape[1]
    _check_type(node, bias, bias + scale * steps, whole=scale.denominator == 1)
    if steps == 1 and 2 * bias == -scale:
        q = Quantizer((scale / 2,), (Fraction(0),), 0, 1, bipolar=True, table=rows)
    else:
        ratio = bias / scale
        base = int(ratio) if ratio.denominator == 1 else 0
        q = Quantizer((scale,), (base - ratio,), base, base + steps, table=rows)
    return apply_quantizer(state, node, real, q)


def _rows(
    state: State, node: SourceNode, real: Real, table: Constant
) -> tuple[tuple[Fraction, ...], ...]:
    """The thresholds of every channel of the edge, or one row for all."""
    if len(table) > 1:
        axis = _channel_axis(node, real.view.ndim + 1)
        spread = [1] * real.view.ndim
        spread[axis - 1] = len(table)
        if real.view.shape[axis - 1] != len(table):
            raise node.refuse(
                f"thresholds of {len(table)} channels on a tensor of {real.view.shape[axis - 1]}"
            )
        places = np.arange(len(table)).reshape(spread)
        table = table[state.along(node, np.broadcast_to(places, real.view.shape), real)]
    return tuple(tuple(row) for row in exact(table))


def _channel_axis(node: SourceNode, ndim: int) -> int:
    """1, or the last; on three axes tools differ where the file does not say."""
    layout = node.text("data_layout", "")
    if layout.endswith("C"):
        return ndim - 1
    if ndim == 3 and not layout:
        raise node.refuse("three axes and no data_layout; state NCW or NWC")
    if layout and layout[1:2] != "C":
        raise node.refuse(f"data_layout {layout!r} has its channels neither second nor last")
    if ndim < 2:
        raise node.refuse("a tensor without channels")
    return 1


def annotated_type(name: str) -> IntType | None:
    """The integers that FINN's name of a type stands for; None for names of other types."""
    if name in ("BIPOLAR", "BINARY"):
        return IntType.bipolar1() if name == "BIPOLAR" else IntType(1)
    found = _INTEGERS.fullmatch(name)
    if found is None or not 1 <= int(found[2]) <= _MOST_BITS:
        return None
    return IntType(int(found[2]), signed=not found[1])


def _check_type(node: SourceNode, low: Fraction, high: Fraction, *, whole: bool) -> None:
    """Whether the values are of ``out_dtype``, where that is a type of integers."""
    name = node.text("out_dtype", "")
    if name == "BIPOLAR":
        fits = low == -high
    elif name == "BINARY":
        fits = low == 0 and high == 1
    elif (found := _INTEGERS.fullmatch(name)) and whole and low.denominator == 1:
        unsigned, bits = bool(found[1]), int(found[2])
        least = 0 if unsigned else -(1 << bits >> 1)
        fits = least <= low and high < least + (1 << bits)
    else:
        return
    if not fits:
        raise node.refuse(f"values from {float(low)} to {float(high)} are no {name}")
