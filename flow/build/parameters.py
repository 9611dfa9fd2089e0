"""The parameters of every instance, and the library files behind it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatch

from flow.errors import InputError
from flow.ir import Edge, IntType, Op
from flow.ops import ArgMax, Compare, Decode, MatVec, Threshold
from flow.schedule import Folding, Unit

MODULES = {
    "matvec": ("matvec", "replay", "memory", "dot", "popcount"),
    "threshold": ("threshold", "memory"),
    "width": ("width",),
    "fifo": ("fifo",),
    "argmax": ("argmax",),
}  # library files behind each instantiated module
Parameters = dict[str, int | str]


def instance_parameters(unit: Unit, edges: Mapping[str, Edge], depth: int | None) -> Parameters:
    """The parameters of one planned unit; those of its memory excluded. ``depth`` is a FIFO's.

    Raises:
        InputError: the RTL library has no such unit.
    """
    source, sink = unit.sources[0], unit.sinks[0]
    if unit.node is not None:
        out = source.lanes if unit.module == "argmax" else sink.lanes  # it gathers all logits
        lanes = Folding(out, source.lanes)
        return unit_parameters(unit.node.op, lanes, unit.name, edges[source.edge])
    if unit.module == "width":
        return {"InLanes": source.lanes, "OutLanes": sink.lanes, "Bits": source.element_bits}
    if depth is not None:
        return {"Depth": depth, "Bits": source.bits}
    raise TypeError(f"no parameters for {unit.module}; add them in {__name__}")


@singledispatch
def unit_parameters(op: Op, lanes: Folding, node: str, source: Edge) -> Parameters:
    """The parameters of the RTL unit that computes ``op`` on ``source``: ``lanes.simd`` of it come
    at a time, and ``lanes.pe`` elements leave.

    Raises:
        InputError: the RTL library has no such unit.
    """
    raise TypeError(f"no RTL for {type(op).__name__}; register one in {__name__}")


@unit_parameters.register
def _(op: MatVec, lanes: Folding, node: str, source: Edge) -> Parameters:
    if op.decode is not Decode.PLAIN:
        raise InputError(f"node {node!r}: no RTL decodes {op.decode}; lower with --decode plain")
    kind = op.weight_type
    if not (kind.signed or kind.bipolar):
        raise InputError(f"node {node!r}: no RTL takes {kind} weights; use signed or bipolar ones")
    rows, columns = op.weights.shape
    return {
        "Rows": rows,
        "Columns": columns,
        "Pe": lanes.pe,
        "Simd": lanes.simd,
        "InBits": source.type.bits,
        "InKind": _kind(source.type),
        "WeightBits": kind.bits,
        "WeightKind": _kind(kind),
        "AccBits": op.accumulator.bits,
        "Popcount": int(op.popcount),
    }


@unit_parameters.register
def _(op: Threshold, lanes: Folding, node: str, source: Edge) -> Parameters:
    if op.compare is not Compare.COUNT:
        raise InputError(f"node {node!r}: no RTL compares by {op.compare}; use the count form")
    channels, steps = op.thresholds.shape
    return {
        "Channels": channels,
        "Lanes": lanes.pe,
        "AccBits": source.type.bits,
        "AccSigned": int(source.type.signed),
        "ThresholdBits": op.threshold_type.bits,
        "ThresholdSigned": int(op.threshold_type.signed),
        "Steps": steps,
        "Base": op.base,
        "OutBits": op.output.bits,
        "SignsStored": int(op.signs_stored),
    }


@unit_parameters.register
def _(op: ArgMax, lanes: Folding, node: str, source: Edge) -> Parameters:
    return {
        "Classes": source.shape[-1],
        "Lanes": lanes.pe,
        "LogitBits": source.type.bits,
        "LogitSigned": int(source.type.signed),
    }


def _kind(type_: IntType) -> int:
    return 2 if type_.bipolar else int(type_.signed)
