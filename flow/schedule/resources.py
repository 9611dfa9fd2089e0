"""How much of an ECP5 a unit takes, before synthesis: tables, flip-flops, block RAM and DSP blocks.

Flip-flops and memories are counted from the structure of ``hls/rtl``. Tables are counted from it
too, times factors that ``tests/bench/units.py`` fits to synthesised units; its table of them,
``tests/bench/units_ecp5.jsonl``, is the evidence, and a test holds the model to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from math import ceil

from flow.schedule.cells import ECP5, Family, Resources, carry, index_bits, memory
from flow.schedule.image_resources import IMAGE_MODELS

Parameters = Mapping[str, int | str]

GROUP = 7  # lanes that popcount.sv counts without an adder
COUNTING = (0, 1, 2, 3, 6, 7, 8, 9)  # tables that count so many agreeing bits


def resources(module: str, parameters: Parameters, family: Family = ECP5) -> Resources:
    """What synthesis is expected to make of one instance of ``hls/rtl/<module>.sv``.

    The factors are the ECP5's; of another family only the memories follow its own blocks.

    Raises:
        TypeError: no model is known for the module.
    """
    if module not in MODELS:
        raise TypeError(f"no resource model for {module}; register one in {__name__}")
    sizes = {name: int(value) for name, value in parameters.items() if isinstance(value, int)}
    return MODELS[module](sizes, family)


def bus_gates(module: str, parameters: Parameters) -> int:
    """Tables in which the words that configuration reads pass a unit: one for each bit of its
    widest memory. The widest of all comes first and needs none."""
    p = {name: int(value) for name, value in parameters.items() if isinstance(value, int)}
    if module in ("matvec", "depthwise"):
        return p["Pe"] * p.get("Simd", 1) * p["WeightBits"]
    if module == "threshold":
        return p["Lanes"] * (p["Steps"] * p["ThresholdBits"] + p["SignsStored"])
    return p["ThresholdBits"] + p["SignsStored"] if module == "threshold_search" else 0


def _stored(words: int, bits: int, p: Mapping[str, int], family: Family) -> Resources:
    """A parameter memory with the register behind it and its place on the configuration bus."""
    kept = bits + p.get("Parity", 0)
    bus = Resources(lut=index_bits(words) + 5, ff=kept + 2)
    check = Resources(lut=ceil(bits / 3) + 6, ff=3) if kept > bits else Resources()
    return memory(words, kept, family, family.style) + bus + check


def _matvec(p: Mapping[str, int], family: Family) -> Resources:
    folds, rows = p["Columns"] // p["Simd"], p["Rows"] // p["Pe"]
    store = _stored(rows * folds, p["Pe"] * p["Simd"] * p["WeightBits"], p, family)
    x = p["Simd"] * p["InBits"]
    repeats = rows // p.get("Groups", 1)
    replay = memory(folds, x, family) if repeats > 1 else Resources(ff=x)
    if not replay.bram and folds > 16:
        replay += Resources(lut=2 * ceil(folds / 16))  # which of its cells is written and read
    gate = Resources(lut=x) if repeats > 1 else Resources()
    address = index_bits(rows * folds)
    counters = address + 2 * index_bits(folds) + index_bits(repeats)
    control = Resources(lut=20 + 2 * address, ff=6 + counters)
    return store + replay + gate + control + Resources(ff=x) + _rows(p, folds, family)


def _rows(p: Mapping[str, int], folds: int, family: Family) -> Resources:
    """The sums of Pe rows and their accumulators."""
    simd, popcount = p["Simd"], p["Popcount"] != 0
    groups = ceil(simd / GROUP)
    lanes = [min(GROUP, simd - GROUP * g) for g in range(groups)]
    exact = p["InBits"] + 1 + p["WeightBits"]
    total = min(p["AccBits"], index_bits(simd + 1) if popcount else exact + (simd - 1).bit_length())
    if popcount:
        parts = sum(index_bits(n + 1) for n in lanes)
        each = Resources(lut=sum(COUNTING[n] for n in lanes), ff=parts)
        adding = ADD_COUNT * (groups - 1)
    else:
        part = min(total, exact + (min(simd, GROUP) - 1).bit_length())
        each = Resources(ff=part * groups) + _products(p, lanes, part, family)
        adding = ADD_SUM * part * (groups - 1)
    accumulate = carry(p["AccBits"]) if folds > 1 else 0
    kept = p["AccBits"] * (2 if folds > 1 else 1)
    each += Resources(lut=round(adding) + accumulate, ff=total + kept)
    return Resources(*(p["Pe"] * getattr(each, f.name) for f in fields(each)))


def _products(p: Mapping[str, int], lanes: list[int], part: int, family: Family) -> Resources:
    """Products of one row and their sums by groups."""
    simd, x, w = p["Simd"], p["InBits"], p["WeightBits"]
    limited = simd * w if "WeightLo" in p else 0
    if p["WeightKind"] == 2:
        return Resources(lut=round(simd * (SIGN_BIT * x + SIGN_LANE)))
    adding = ADD_PRODUCT * part * sum(n - 1 for n in lanes)
    if family.dsp:  # whatever their width
        return Resources(lut=round(adding) + limited, dsp=simd)
    uneven = NARROW if x >= 4 * w else 1
    return Resources(lut=round(adding + MULTIPLY * uneven * simd * x * w) + limited)


def _depthwise(p: Mapping[str, int], family: Family) -> Resources:
    taps = p["Columns"]
    store = _stored(p["Rows"] // p["Pe"] * taps, p["Pe"] * p["WeightBits"], p, family)
    return (
        store
        + Resources(lut=20, ff=14 + 2 * p["Pe"] * p["InBits"])
        + _rows({**p, "Simd": 1}, taps, family)
    )


def _threshold(p: Mapping[str, int], family: Family) -> Resources:
    lanes, steps, acc, level = p["Lanes"], p["Steps"], p["AccBits"], p["ThresholdBits"]
    folds = p["Channels"] // lanes
    store = _stored(folds, lanes * (steps * level + p["SignsStored"]), p, family)
    compare = max(acc, level)
    count = COUNT_LEVEL * steps if steps > 3 else 0
    signs = (1 + p["OutBits"]) * p["SignsStored"]
    lane = carry(compare + 1) * steps + round(count) + signs
    kept = 2 * acc + steps + p["SignsStored"] + p["OutBits"]
    control = Resources(lut=index_bits(folds) + 4, ff=index_bits(folds) + 4)
    return store + control + Resources(lut=lanes * lane, ff=lanes * kept)


def _threshold_search(p: Mapping[str, int], family: Family) -> Resources:
    """A comparator and a small memory for each stage of each lane."""
    lanes, acc, level = p["Lanes"], p["AccBits"], p["ThresholdBits"]
    folds, stages = p["Channels"] // lanes, p["Steps"].bit_length()
    total = Resources(lut=index_bits(folds), ff=lanes * p["OutBits"] + 4)
    for stage in range(stages):
        word = level + (p["SignsStored"] if stage == 0 else 0)
        each = _stored(folds << stage, word, p, family)
        each += Resources(lut=carry(max(acc, level)) + 2 + word, ff=2 * (acc + stage))
        total += Resources(lut=index_bits(folds), ff=index_bits(folds) + 2)
        total += Resources(*(lanes * getattr(each, f.name) for f in fields(each)))
    return total


def _argmax(p: Mapping[str, int], family: Family) -> Resources:
    lanes, bits, classes = p["Lanes"], p["LogitBits"], p["Classes"]
    levels = (lanes - 1).bit_length()
    index = index_bits(classes)
    nodes = [ceil(lanes / 2**level) for level in range(1, levels + 1)]
    keys = sum(n * (bits + level) for level, n in enumerate(nodes, start=1))
    chosen = (lanes - 1) * round(CHOOSE * (bits + levels))
    lut = lanes * bits + chosen + index + 17
    delays = levels * lanes * bits
    return Resources(lut=lut, ff=keys + delays + levels + classes * bits + bits + 2 * index)


def _width(p: Mapping[str, int], family: Family) -> Resources:
    wide, narrow = max(p["InLanes"], p["OutLanes"]), min(p["InLanes"], p["OutLanes"])
    if wide == narrow:
        return Resources()
    bits, ratio = wide * p["Bits"], wide // narrow
    splits = (bits - narrow * p["Bits"]) if p["InLanes"] > p["OutLanes"] else 0
    return Resources(lut=splits + 6 + index_bits(ratio), ff=bits + index_bits(ratio) + 1)


def _fifo(p: Mapping[str, int], family: Family) -> Resources:
    depth, bits = p["Depth"], p["Bits"]
    if depth == 1:
        return Resources(lut=5, ff=bits + 2)
    form = p.get("Form", 0)
    if form == 1:
        return Resources(
            lut=bits * (depth - 1) + 10, ff=bits * depth + 2 * index_bits(depth + 1) + 1
        )
    address, store = index_bits(depth), memory(depth, bits, family)
    if form == 0 and not family.distributed:  # read without a clock: no block can
        store = Resources(lut=depth * bits * 2 // 3, ff=depth * bits)
    wraps = depth & (depth - 1) != 0
    lut = round(8.3 * address + 2 + (5 if address > 4 else 0) + (2 * address - 4 if wraps else 0))
    control = Resources(lut=lut, ff=5 * address + 2 - wraps)
    if store.bram:
        around = Resources(lut=bits, ff=bits - address + 1)  # a way around the block
        return control + store + around
    return control + Resources(lut=store.lut, ff=store.ff if store.ff == depth * bits else 0)


def _fork(p: Mapping[str, int], family: Family) -> Resources:
    return Resources(lut=3 * p["Outputs"], ff=p["Outputs"])


def _uart_bridge(p: Mapping[str, int], family: Family) -> Resources:
    """A request's word, the results on their way, and the image that waits to be whole."""
    word, result = p["CfgBits"], p["Classes"] * p["LogitBits"] + p["ClassBits"]
    waiting = memory(p["Elements"] // p["Lanes"], p["Lanes"] * p["InBits"], family)
    lut = 470 + round(1.02 * word + 1.6 * result)
    kept = Resources(ff=142 + result + max(word, 160, result * 7 // 8))
    return Resources(lut=lut + waiting.lut, bram=waiting.bram) + kept


CHOOSE = 1.35  # per bit of the larger of two logits and its index
ADD_COUNT = 6.2  # tables of one more count of three bits
ADD_SUM = 1.3  # per bit of one more partial sum
ADD_PRODUCT = 1.16  # per bit of one more product
MULTIPLY, NARROW = 2.62, 0.72  # per pair of bits; of which a wide and a narrow number take less
SIGN_BIT, SIGN_LANE = 2.35, 4.24  # per bit and per lane of an input that is added or subtracted
COUNT_LEVEL = 1.0  # per step that is counted

MODELS: Mapping[str, Callable[[Mapping[str, int], Family], Resources]] = {
    "matvec": _matvec,
    "depthwise": _depthwise,
    "threshold": _threshold,
    "threshold_search": _threshold_search,
    "argmax": _argmax,
    "width": _width,
    "fifo": _fifo,
    "eager_fork": _fork,
    "uart_bridge": _uart_bridge,
    **IMAGE_MODELS,
}
