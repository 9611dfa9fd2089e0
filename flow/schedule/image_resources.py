"""How much of an ECP5 the units of image networks take; factors fitted as in ``resources``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flow.schedule.cells import Family, Resources, carry, index_bits, memory

CROP = 40  # tables that find out whether a pixel is in any window
SHORT = 16  # pixels, below which Yosys counts without carry chains


@dataclass(frozen=True, slots=True)
class _Window:
    """The derived constants of window.sv."""

    depth: int
    taps: int  # pixels of a window
    counters: int  # bits
    crop: int  # bits

    @staticmethod
    def of(p: Mapping[str, int], groups: int) -> _Window:
        beats = p["Channels"] // p["Lanes"]
        sides = [(p["Height"], "H"), (p["Width"], "W")]
        strides = [p[f"Stride{side}"] for _, side in sides]
        spans = [_span(p, side) for _, side in sides]
        outs = [(n - s) // d + 1 for (n, _), s, d in zip(sides, spans, strides, strict=True)]
        kept = (outs[1] - 1) * min(strides[1], spans[1]) + spans[1]
        worst = max(p["Height"] - (outs[0] - 1) * strides[0] - spans[0], strides[0] - spans[0] + 1)
        apart = strides[0] >= spans[0] and strides[1] >= spans[1]
        extent = ((spans[0] - 1) * kept + spans[1]) * beats
        depth = 2 * extent + (0 if apart else max(0, worst)) * kept * beats
        counted = [beats // groups, p["KernelH"], p["KernelW"], groups, *outs]
        counters = sum((count - 1).bit_length() for count in counted)
        return _Window(depth, p["KernelH"] * p["KernelW"], counters, _crop_bits(p))


def _span(p: Mapping[str, int], side: str) -> int:
    return (p[f"Kernel{side}"] - 1) * p.get(f"Dilation{side}", 1) + 1


def _crop_bits(p: Mapping[str, int]) -> int:
    """Counters of crop.sv; none where every pixel is in a window."""
    bits, needed = (p["Channels"] // p["Lanes"] - 1).bit_length(), False
    for size, side in ((p["Height"], "H"), (p["Width"], "W")):
        span, stride = _span(p, side), p[f"Stride{side}"]
        needed |= (size - span) % stride != 0 or stride > span
        bits += size.bit_length() + (stride.bit_length() if stride > span else 0)
    return bits if needed else 0


def _buffer(p: Mapping[str, int], bits: int, groups: int, family: Family) -> Resources:
    """A window of ``bits`` per word."""
    window = _Window.of(p, groups)
    address, store = index_bits(window.depth), memory(window.depth, bits, family)
    ff = 2 * address + window.depth.bit_length() + window.counters + 2 + window.crop
    lut = round(4.34 * address + 5.54 * window.counters - 3.2) + (
        CROP if window.crop and window.taps > 1 else 0
    )
    return store + Resources(lut=lut, ff=ff)


def _window(p: Mapping[str, int], family: Family) -> Resources:
    return _buffer(p, p["Lanes"] * p["Bits"], p.get("Groups", 1), family)


def _maxpool(p: Mapping[str, int], family: Family) -> Resources:
    bits = p["InBits"]
    return _pool(p, bits, family) + Resources(lut=round(1.2 * p["Lanes"] * bits))


def _sumpool(p: Mapping[str, int], family: Family) -> Resources:
    bits = p["AccBits"]
    return _pool(p, bits, family) + Resources(lut=round(0.76 * p["Lanes"] * bits))


def _pool(p: Mapping[str, int], out_bits: int, family: Family) -> Resources:
    """Partial results beside the words that come, or that a window gives."""
    lanes = p["Lanes"]
    beats, bits = p["Channels"] // lanes, lanes * out_bits
    taps = (p["KernelH"], p["KernelW"])
    outs = [(p[n] - _span(p, n[0])) // p[f"Stride{n[0]}"] + 1 for n in ("Height", "Width")]
    apart = all(
        _span(p, side) == k and (p[f"Stride{side}"] >= k or out == 1)
        for side, k, out in zip("HW", taps, outs, strict=True)
    )
    words = outs[1] * beats if apart else 1
    counted = (words, words, beats, *taps) if apart else (taps[0] * taps[1],)
    counters = sum((count - 1).bit_length() for count in counted)
    control = Resources(lut=round(2 * bits + 1.2 * counters) + 19, ff=counters + 5 + 2 * bits)
    control += Resources(ff=lanes * p["InBits"] + (_crop_bits(p) if apart else 0))
    if not apart:
        return control + _buffer(p, lanes * p["InBits"], beats, family)
    store = memory(words, bits, family) if words > 1 else Resources()
    reads = bits if store.bram else store.ff  # a block's register is among the control's
    return control + store + Resources(ff=-reads)


def _pad(p: Mapping[str, int], family: Family) -> Resources:
    beats = (p["Channels"] // p["Lanes"] - 1).bit_length()
    height, width = p["Height"] + p["Top"] + p["Bottom"], p["Width"] + p["Left"] + p["Right"]
    counters = beats + height.bit_length() + width.bit_length()
    lut = 41 if max(height, width) > SHORT else 22
    return Resources(lut=lut + beats, ff=p["Lanes"] * p["Bits"] + counters + 2)


def _add(p: Mapping[str, int], family: Family) -> Resources:
    """Constants that are part of the circuit make products cheap, stored ones do not."""
    lanes, out, inputs = p["Lanes"], p["AccBits"], p["Inputs"]
    into = p["InBits0"] + (p["InBits1"] if inputs == 2 else 0)
    folds = p["Channels"] // lanes
    few = p["MultiplierBits"] <= 3
    each = carry(out) + (0 if few else round(0.93 * inputs * p["MultiplierBits"] * 2 + out))
    store = Resources()
    if folds > 1:
        bits = inputs * p["MultiplierBits"] + p["OffsetBits"]
        each += round(2.6 * into * p["MultiplierBits"])
        store = memory(folds, lanes * bits, family)
    index = index_bits(folds) if folds > 1 else 0
    kept = lanes * (out + into) + 2 + index
    return store + Resources(lut=lanes * each + 4 + index, ff=kept)


def _concat(p: Mapping[str, int], family: Family) -> Resources:
    lanes, out = p["Lanes"], p["OutBits"]
    beats = ((p["Channels0"] + p["Channels1"]) // lanes).bit_length()
    both = min(p["InBits0"], p["InBits1"])  # above them one stream has a sign, or nothing
    lut = lanes * both + lanes * (out - both) * (p["InKind0"] != 0) * 3 // 4 + 2 * beats + 4
    return Resources(lut=lut, ff=lanes * out + beats + 1)


IMAGE_MODELS: Mapping[str, Callable[[Mapping[str, int], Family], Resources]] = {
    "window": _window,
    "maxpool": _maxpool,
    "sumpool": _sumpool,
    "pad": _pad,
    "add": _add,
    "concat": _concat,
}
