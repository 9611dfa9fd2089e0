"""The parameters of every instance, and the library files behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import singledispatch

from flow.build.constants import ConstantLayout
from flow.errors import InputError
from flow.ir import Edge, IntType, Op, integers
from flow.ops import (
    Add,
    ArgMax,
    Concat,
    Decode,
    MatVec,
    MaxPool,
    Pad,
    SumPool,
    Threshold,
    Window,
)
from flow.schedule import Folding, Unit
from flow.schedule.cells import ECP5, memory

_DOT = ("dot", "popcount")
_POOL = ("pool", "window", "crop")
MODULES = {
    "matvec": ("matvec", "replay", "memory", *_DOT),
    "depthwise": ("depthwise", "memory", *_DOT),
    "threshold": ("threshold", "memory"),
    "threshold_search": ("threshold_search", "memory"),
    "window": ("window", "crop"),
    "pad": ("pad",),
    "maxpool": ("maxpool", *_POOL),
    "sumpool": ("sumpool", *_POOL),
    "add": ("add",),
    "concat": ("concat",),
    "width": ("width",),
    "fifo": ("fifo",),
    "eager_fork": ("eager_fork",),
    "argmax": ("argmax",),
}  # library files behind each instantiated module
Parameters = dict[str, int | str]
SHALLOW = 2  # words of a FIFO that registers hold


def instance_parameters(unit: Unit, edges: Mapping[str, Edge], depth: int | None) -> Parameters:
    """The parameters of one planned unit; those of its memory excluded. ``depth`` is a FIFO's.

    Raises:
        InputError: the RTL library has no such unit.
    """
    source, sink = unit.sources[0], unit.sinks[0]
    if unit.node is not None:
        out = source.lanes if unit.module == "argmax" else sink.lanes  # it gathers all logits
        lanes, into = Folding(out, source.lanes), [edges[s.edge] for s in unit.sources]
        found = unit_parameters(unit.node.op, lanes, unit.name, *into)
        if unit.module == "window":
            found["Groups"] = unit.groups
        if unit.module == "depthwise":  # one channel a group, one tap a cycle
            del found["Simd"], found["Groups"]
        return found
    if unit.module == "width":
        return {"InLanes": source.lanes, "OutLanes": sink.lanes, "Bits": source.element_bits}
    if unit.module == "eager_fork":
        return {"Outputs": len(unit.sinks), "Bits": source.bits}
    if depth is not None:
        return {"Depth": depth, "Bits": source.bits, "Form": fifo_form(depth, source.bits)}
    raise TypeError(f"no parameters for {unit.module}; add them in {__name__}")


def fifo_form(depth: int, bits: int) -> int:
    """How ``fifo.sv`` holds ``depth`` words: 1 registers for two words at most, 2 block RAM where
    that is smaller than distributed RAM, else 0, distributed RAM."""
    if depth <= SHALLOW:
        return 1
    return 2 if memory(depth, bits, ECP5).bram else 0


@singledispatch
def unit_parameters(op: Op, lanes: Folding, node: str, *sources: Edge) -> Parameters:
    """The parameters of the RTL unit that computes ``op`` on ``sources``: ``lanes.simd`` elements
    of each come at a time, and ``lanes.pe`` leave.

    Raises:
        InputError: the RTL library has no such unit.
    """
    raise TypeError(f"no RTL for {type(op).__name__}; register one in {__name__}")


@unit_parameters.register
def _(op: MatVec, lanes: Folding, node: str, source: Edge) -> Parameters:
    kind = op.weight_type
    if not (kind.signed or kind.bipolar):
        raise InputError(f"node {node!r}: no RTL takes {kind} weights; use signed or bipolar ones")
    rows, columns = op.weights.shape
    limits = {"WeightLo": kind.lo, "WeightHi": kind.hi}
    return {
        "Rows": rows,
        "Columns": columns,
        "Pe": lanes.pe,
        "Simd": lanes.simd,
        "InBits": source.type.bits,
        "InKind": kind_number(source.type),
        "WeightBits": kind.bits,
        "WeightKind": kind_number(kind),
        "AccBits": op.accumulator.bits,
        "Popcount": int(op.popcount),
        "Groups": op.groups,
        **(limits if op.decode is Decode.CLAMP and kind.signed else {}),
    }


@unit_parameters.register
def _(op: Threshold, lanes: Folding, node: str, source: Edge) -> Parameters:
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


@unit_parameters.register
def _(op: Window, lanes: Folding, node: str, source: Edge) -> Parameters:
    pairs = {"Kernel": op.kernel, "Stride": op.stride, "Dilation": op.dilation}
    return _image(source, lanes) | {"Bits": source.type.bits} | _pairs(pairs)


@unit_parameters.register
def _(op: Pad, lanes: Folding, node: str, source: Edge) -> Parameters:
    margins = dict(zip(("Top", "Bottom", "Left", "Right"), op.margins, strict=True))
    code = int(source.type.encode(integers(op.value)))
    return _image(source, lanes) | {"Bits": source.type.bits, **margins, "Value": code}


@unit_parameters.register
def _(op: MaxPool, lanes: Folding, node: str, source: Edge) -> Parameters:
    pairs = {"Kernel": op.kernel, "Stride": op.stride, "Dilation": op.dilation}
    return _image(source, lanes) | _input(source) | _pairs(pairs)


@unit_parameters.register
def _(op: SumPool, lanes: Folding, node: str, source: Edge) -> Parameters:
    pairs = _pairs({"Kernel": op.kernel, "Stride": op.stride})
    return _image(source, lanes) | _input(source) | {"AccBits": op.accumulator.bits} | pairs


@unit_parameters.register
def _(op: Add, lanes: Folding, node: str, *sources: Edge) -> Parameters:
    layout = ConstantLayout.of(op, lanes.pe, sources[0].shape[-1])
    return {
        "Inputs": len(sources),
        "Channels": layout.channels,
        "Lanes": lanes.pe,
        **_inputs(sources),
        "MultiplierBits": layout.multiplier_bits,
        "OffsetBits": layout.offset_bits,
        "AccBits": op.accumulator.bits,
        **({"Constants": layout.literal(op)} if layout.channels == layout.lanes else {}),
    }


@unit_parameters.register
def _(op: Concat, lanes: Folding, node: str, *sources: Edge) -> Parameters:
    channels = {f"Channels{i}": source.shape[-1] for i, source in enumerate(sources)}
    return {**channels, "Lanes": lanes.pe, **_inputs(sources), "OutBits": op.output.bits}


def kind_number(type_: IntType) -> int:
    """How the library writes a type: 0 unsigned, 1 signed, 2 bipolar."""
    return 2 if type_.bipolar else int(type_.signed)


def _image(source: Edge, lanes: Folding) -> Parameters:
    sizes = dict(zip(("Height", "Width", "Channels"), source.shape, strict=True))
    return {**sizes, "Lanes": lanes.pe}


def _input(source: Edge) -> Parameters:
    return {"InBits": source.type.bits, "InKind": kind_number(source.type)}


def _inputs(sources: Sequence[Edge]) -> Parameters:
    return {f"{name}{i}": v for i, s in enumerate(sources) for name, v in _input(s).items()}


def _pairs(pairs: Mapping[str, tuple[int, int]]) -> Parameters:
    return {f"{n}{axis}": v for n, p in pairs.items() for axis, v in zip("HW", p, strict=True)}
