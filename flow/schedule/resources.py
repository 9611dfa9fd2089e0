"""How much of an ECP5 a unit takes, before synthesis: tables, flip-flops, block RAM and DSP blocks.

Flip-flops and memories are counted from the structure of ``hls/rtl``. Tables are counted from it
too, times factors that ``tests/bench/units.py`` fits to synthesised units; its table of them,
``tests/bench/units_ecp5.jsonl``, is the evidence, and a test holds the model to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from math import ceil

Parameters = Mapping[str, int | str]

RAM_TABLES = 6  # of a distributed RAM cell of 16 x 4 bits: four, and two for writing
BLOCK_COSTS = 22  # distributed RAM cells that Yosys prefers to one block
BLOCKS = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))  # words x bits
DSP_BITS = 9  # of a product, from which on Yosys takes a DSP block
GROUP = 7  # lanes that popcount.sv counts without an adder
COUNTING = (0, 1, 2, 3, 6, 7, 8, 9)  # tables that count so many agreeing bits


@dataclass(frozen=True, slots=True)
class Resources:
    """Cells of the ECP5 family; a table is a LUT4, a carry cell has two."""

    lut: int = 0
    ff: int = 0
    bram: int = 0
    dsp: int = 0

    def __add__(self, other: Resources) -> Resources:
        return Resources(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


def resources(module: str, parameters: Parameters, *, dsp: bool = True) -> Resources:
    """What synthesis is expected to make of one instance of ``hls/rtl/<module>.sv``.

    Without ``dsp`` products stay in tables, as ``bitproof synth --no-dsp`` has it.

    Raises:
        TypeError: no model is known for the module.
    """
    if module not in MODELS:
        raise TypeError(f"no resource model for {module}; register one in {__name__}")
    sizes = {name: int(value) for name, value in parameters.items() if isinstance(value, int)}
    return MODELS[module](sizes, dsp)


def memory(words: int, bits: int) -> Resources:
    """``words`` of ``bits`` bits behind one port: block RAM, distributed RAM or registers."""
    modes = [(ceil(words / deep) * ceil(bits / wide), -deep) for deep, wide in BLOCKS]
    blocks, deep = min(modes)  # between equals the deepest, which needs no multiplexer
    cells = ceil(words / 16) * ceil(bits / 4)
    if words == 1:
        return Resources(ff=2 * bits)
    if cells > BLOCK_COSTS * blocks:
        return Resources(bram=blocks, lut=bits * (ceil(words / -deep) - 1))
    return Resources(lut=cells * RAM_TABLES + bits * (ceil(words / 16) - 1), ff=bits)


def _bits(number: int) -> int:
    return max(1, (number - 1).bit_length())


def _carry(bits: int) -> int:
    """Tables of a carry chain."""
    return 2 * ceil(bits / 2)


def _stored(words: int, bits: int, parity: int = 0) -> Resources:
    """A parameter memory with the register behind it and its place on the configuration bus."""
    bits += parity
    place = Resources(lut=_bits(words) + 5, ff=bits + 2)
    return memory(words, bits) + place + _checked(bits, parity)


def _checked(bits: int, parity: int) -> Resources:
    """The parity of a word, and what keeps that it was wrong."""
    return Resources(lut=ceil(bits / 3) + 4, ff=3) if parity else Resources()


def _matvec(p: Mapping[str, int], dsp: bool) -> Resources:
    folds, rows = p["Columns"] // p["Simd"], p["Rows"] // p["Pe"]
    store = _stored(rows * folds, p["Pe"] * p["Simd"] * p["WeightBits"], p.get("Parity", 0))
    x = p["Simd"] * p["InBits"]
    repeats = rows // p.get("Groups", 1)
    replay = memory(folds, x) if repeats > 1 else Resources(ff=x)
    gate = Resources(lut=x) if repeats > 1 else Resources()
    address = _bits(rows * folds)
    counters = address + 2 * _bits(folds) + _bits(repeats)
    control = Resources(lut=20 + 2 * address, ff=6 + counters)
    return store + replay + gate + control + Resources(ff=x) + _rows(p, folds, dsp)


def _rows(p: Mapping[str, int], folds: int, dsp: bool) -> Resources:
    """The sums of Pe rows and their accumulators."""
    simd, popcount = p["Simd"], p["Popcount"] != 0
    groups = ceil(simd / GROUP)
    lanes = [min(GROUP, simd - GROUP * g) for g in range(groups)]
    exact = p["InBits"] + 1 + p["WeightBits"]
    total = min(p["AccBits"], _bits(simd + 1) if popcount else exact + (simd - 1).bit_length())
    if popcount:
        parts = sum(_bits(n + 1) for n in lanes)
        each = Resources(lut=sum(COUNTING[n] for n in lanes), ff=parts)
        adding = ADD_COUNT * (groups - 1)
    else:
        part = min(total, exact + (min(simd, GROUP) - 1).bit_length())
        each = Resources(ff=part * groups) + _products(p, lanes, part, dsp)
        adding = ADD_SUM * part * (groups - 1)
    accumulate = _carry(p["AccBits"]) if folds > 1 else 0
    kept = p["AccBits"] * (2 if folds > 1 else 1)
    each += Resources(lut=round(adding) + accumulate, ff=total + kept)
    return Resources(*(p["Pe"] * getattr(each, f.name) for f in fields(each)))


def _products(p: Mapping[str, int], lanes: list[int], part: int, dsp: bool) -> Resources:
    """Products of one row and their sums by groups."""
    simd, x, w = p["Simd"], p["InBits"], p["WeightBits"]
    if p["WeightKind"] == 2:
        return Resources(lut=round(simd * (SIGN_BIT * x + SIGN_LANE)))
    adding = ADD_PRODUCT * part * sum(n - 1 for n in lanes)
    if dsp and x + 1 + w >= DSP_BITS:
        return Resources(lut=round(adding), dsp=simd)
    return Resources(lut=round(adding + MULTIPLY * simd * x * w))


def _depthwise(p: Mapping[str, int], dsp: bool) -> Resources:
    taps = p["Columns"]
    store = _stored(p["Rows"] // p["Pe"] * taps, p["Pe"] * p["WeightBits"], p.get("Parity", 0))
    return (
        store
        + Resources(lut=20, ff=14 + 2 * p["Pe"] * p["InBits"])
        + _rows({**p, "Simd": 1}, taps, dsp)
    )


def _threshold(p: Mapping[str, int], dsp: bool) -> Resources:
    lanes, steps, acc, level = p["Lanes"], p["Steps"], p["AccBits"], p["ThresholdBits"]
    folds = p["Channels"] // lanes
    store = _stored(folds, lanes * (steps * level + p["SignsStored"]), p.get("Parity", 0))
    compare = max(acc, level)
    count = COUNT_LEVEL * steps if steps > 1 else 0
    signs = (1 + p["OutBits"]) * p["SignsStored"]
    lane = compare * steps + round(count) + signs
    kept = 2 * acc + steps + p["SignsStored"] + p["OutBits"]
    control = Resources(lut=_bits(folds) + 4, ff=_bits(folds) + 4)
    return store + control + Resources(lut=lanes * lane, ff=lanes * kept)


def _threshold_search(p: Mapping[str, int], dsp: bool) -> Resources:
    lanes, acc, level = p["Lanes"], p["AccBits"], p["ThresholdBits"]
    folds, stages = p["Channels"] // lanes, p["Steps"].bit_length()
    signs, parity = p["SignsStored"], p.get("Parity", 0)
    lane = Resources(ff=p["OutBits"] + 2 * signs * (stages - 1))
    for stage in range(stages):
        words, bits = folds << stage, level + parity + (0 if stage else signs)
        following = 2 * acc + 2 * stage  # of the accumulator and what has been decided
        read = ceil(MERGE * bits) + _bits(words) + SLICE
        lane += memory(words, bits) + _checked(bits, parity)
        lane += Resources(lut=_carry(max(acc, level)) + read, ff=bits + 2 + following)
    control = Resources(lut=stages * (_bits(folds) + 3) + level + signs + 10)
    control += Resources(ff=stages * ((_bits(folds) if folds > 1 else 0) + 2) + 3)
    return control + Resources(*(lanes * getattr(lane, f.name) for f in fields(lane)))


def _argmax(p: Mapping[str, int], dsp: bool) -> Resources:
    lanes, bits, classes = p["Lanes"], p["LogitBits"], p["Classes"]
    levels = (lanes - 1).bit_length()
    index = _bits(classes)
    nodes = [ceil(lanes / 2**level) for level in range(1, levels + 1)]
    keys = sum(n * (bits + level) for level, n in enumerate(nodes, start=1))
    chosen = (lanes - 1) * round(CHOOSE * (bits + levels))
    lut = lanes * bits + chosen + index + 17
    delays = levels * lanes * bits
    return Resources(lut=lut, ff=keys + delays + levels + classes * bits + bits + 2 * index)


def _width(p: Mapping[str, int], dsp: bool) -> Resources:
    wide, narrow = max(p["InLanes"], p["OutLanes"]), min(p["InLanes"], p["OutLanes"])
    if wide == narrow:
        return Resources()
    bits, ratio = wide * p["Bits"], wide // narrow
    splits = (bits - narrow * p["Bits"]) if p["InLanes"] > p["OutLanes"] else 0
    return Resources(lut=splits + 6 + _bits(ratio), ff=bits + _bits(ratio) + 1)


def _fifo(p: Mapping[str, int], dsp: bool) -> Resources:
    depth, bits = p["Depth"], p["Bits"]
    if depth == 1:
        return Resources(lut=5, ff=bits + 2)
    if p.get("Form") == 1:
        return Resources(lut=bits * (depth - 1) + 10, ff=bits * depth + 2 * _bits(depth + 1) + 1)
    control = Resources(lut=8 * _bits(depth) + 6, ff=5 * _bits(depth) + 2)
    store = memory(depth, bits)
    if store.bram:
        around = Resources(lut=bits, ff=bits - _bits(depth) + 1)  # a way around the block
        return control + store + around
    return control + Resources(lut=store.lut)


def _fork(p: Mapping[str, int], dsp: bool) -> Resources:
    return Resources(lut=3 * p["Outputs"], ff=p["Outputs"])


CHOOSE = 1.35  # per bit of the larger of two logits and its index
ADD_COUNT = 6.2  # tables of one more count of three bits
ADD_SUM = 1.3  # per bit of one more partial sum
ADD_PRODUCT = 1.16  # per bit of one more product
MULTIPLY = 2.6  # per pair of bits
SIGN_BIT, SIGN_LANE = 2.35, 4.24  # per bit and per lane of an input that is added or subtracted
COUNT_LEVEL = 1.5  # per step that is counted

MERGE, SLICE = 0.67, 9  # of reading a memory of a search: per bit, and for each

MODELS: Mapping[str, Callable[[Mapping[str, int], bool], Resources]] = {
    "matvec": _matvec,
    "depthwise": _depthwise,
    "threshold": _threshold,
    "threshold_search": _threshold_search,
    "argmax": _argmax,
    "width": _width,
    "fifo": _fifo,
    "eager_fork": _fork,
}
