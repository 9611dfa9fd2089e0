"""The processes of the HLS C++ and the streams between them, derived from the RTL netlist.

Every unit but the FIFOs is a process; a FIFO is the depth of the stream it stands in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from flow.build.images import read_image
from flow.build.netlist import Netlist, Unit
from flow.errors import InputError
from flow.schedule import INPUT, OUTPUT
from flow.schedule.movers import MATVEC_STAGES, STAGES, search_stages

DEPTH = 2  # of a stream without a FIFO: what the vendor's tool gives it by default
WIDEST = 1 << 15  # bits of the vendor's integers


@dataclass(frozen=True, slots=True)
class Channel:
    """One stream between two processes, or a port of the top."""

    name: str
    bits: int
    depth: int


@dataclass(frozen=True, slots=True)
class Table:
    """A constant array."""

    name: str
    bits: int  # of a word
    words: Sequence[int]


@dataclass(frozen=True, slots=True)
class Process:
    """One kernel instance, with the channels it reads and the channels it writes."""

    unit: Unit
    sources: tuple[Channel, ...]
    sinks: tuple[Channel, ...]
    parity: bool = False  # its stored words have a parity bit, which it checks

    @property
    def words(self) -> int | None:
        """Words of one image that a kernel counts whose parameters do not say it."""
        streams = (*self.unit.sources, *self.unit.sinks)
        counted = self.unit.module in ("width", "eager_fork", "add", "concat")
        return max(stream.words for stream in streams) if counted else None

    @property
    def parameters(self) -> dict[str, int]:
        """Those of the kernel: the unit's, its constants excluded, in the kernel's order."""
        known = {name: v for name, v in self.unit.parameters.items() if isinstance(v, int)}
        if self.parity and self.unit.memories:
            return known | weight_limits(known) | {"Parity": 1}
        if known.get("Inputs") != 1:
            return known
        second = {name.replace("0", "1"): known[name] for name in ("InBits0", "InKind0")}
        first = ("Inputs", "Channels", "Lanes", "InBits0", "InKind0")
        return {name: known[name] for name in first} | second | known

    @property
    def constants(self) -> Table | None:
        """What the kernel of an Add multiplies by; one word where it serves all channels."""
        unit, known = self.unit, self.parameters
        if unit.module != "add":
            return None
        lane = known["Inputs"] * known["MultiplierBits"] + known["OffsetBits"]
        if unit.constants is not None:
            words = read_image(unit.constants.text)
        else:
            words = [int(str(unit.parameters["Constants"]).split("'h")[1], 16)]
        return Table(f"{unit.name.removeprefix('u_')}.constants", lane * known["Lanes"], words)

    @property
    def vectors(self) -> int:
        """Vectors of one image that the kernel takes one after the other."""
        unit, parameters = self.unit, self.unit.parameters
        if unit.module in ("threshold", "threshold_search"):
            return prod(unit.sources[0].shape) // int(parameters["Channels"])
        if unit.module in ("matvec", "depthwise"):
            return prod(unit.sinks[0].shape) // int(parameters["Rows"])
        return 1


def processes(net: Netlist) -> tuple[Process, ...]:
    """Each process after those it reads from.

    Raises:
        InputError: a word is too wide for the vendor's integers, or a stream can hold nothing.
    """
    links = _links(net)
    made = tuple(
        Process(
            unit,
            tuple(links[stream.name] for stream in unit.sources),
            tuple(links[stream.name] for stream in unit.sinks),
            net.parity,
        )
        for unit in net.units
        if unit.module != "fifo"
    )
    for process in made:
        _check(process)
    return made


def weight_limits(known: dict[str, int]) -> dict[str, int]:
    """The limits of a product's weights, which stand before its parity: every code, if none."""
    if "WeightBits" not in known or "WeightLo" in known:
        return {}
    half = 1 << (known["WeightBits"] - 1)
    return {"WeightLo": -half, "WeightHi": half - 1}


def _links(net: Netlist) -> dict[str, Channel]:
    """The channel of every stream of the netlist; those around a FIFO share one."""
    readers = {stream.name: unit for unit in net.units for stream in unit.sources}
    forked = any(unit.module == "eager_fork" for unit in net.units)
    links = {INPUT: Channel("in", net.input.bits, DEPTH)}
    for unit in net.units:
        if unit.module == "fifo":
            continue
        for place, sink in enumerate(unit.sinks):
            if sink.name == OUTPUT:
                links[OUTPUT] = Channel("out", sink.bits, DEPTH)
                continue
            name = f"{unit.name.removeprefix('u_')}_out"
            name += str(place) if unit.module == "eager_fork" else ""
            reader, joined, queued = readers[sink.name], [sink.name], 0
            while reader.module == "fifo":
                joined.append(reader.sinks[0].name)
                queued += int(reader.parameters["Depth"])
                reader = readers[joined[-1]]
            own = _own(unit) if forked else 0
            depth = (queued if len(joined) > 1 else DEPTH) + own + _beyond(reader)
            links |= dict.fromkeys(joined, Channel(name, sink.bits, depth))
    return links


def _own(unit: Unit) -> int:
    """Words that the RTL of ``unit`` holds for its reader and its kernel does not.

    Results in its pipeline; at a fork the word that one branch has taken and another not.
    """
    if unit.module in ("matvec", "depthwise"):
        return MATVEC_STAGES
    if unit.module == "threshold_search":
        return search_stages(int(unit.parameters["Steps"]))
    return STAGES.get(unit.module, STAGES["pool"])


def _beyond(unit: Unit) -> int:
    """Words that the RTL of ``unit`` buffers and its kernel leaves in the stream it reads.

    ``window.sv`` takes words while a second extent and its spare rows have room; between them may
    lie any that no window needs.
    """
    if unit.module not in ("window", "maxpool", "sumpool"):
        return 0
    sides = [_Side.of(unit, axis) for axis in ("Height", "Width")]
    if unit.module != "window" and all(side.apart and side.solid for side in sides):
        return 0
    rows, columns = sides
    separate = rows.stride >= rows.span and columns.stride >= columns.span
    worst = max(rows.surplus, rows.stride - rows.span + 1, 0)
    spare = 0 if separate else worst
    pixels = (rows.span - 1 + spare) * columns.used + columns.span
    frame = np.outer(rows.kept, columns.kept).ravel()
    frames = -(-(pixels + 1) // int(frame.sum())) + 1
    places = np.flatnonzero(np.tile(frame, frames))
    apart = int((places[pixels + 1 :] - places[: -pixels - 1]).max())
    return apart * (int(unit.parameters["Channels"]) // int(unit.parameters["Lanes"]))


@dataclass(frozen=True, slots=True)
class _Side:
    """Windows along one axis."""

    size: int
    kernel: int
    stride: int
    span: int  # pixels from a window's first to its last

    @staticmethod
    def of(unit: Unit, name: str) -> _Side:
        """Along the axis whose size is the parameter ``name``."""
        values = {key: int(value) for key, value in unit.parameters.items()}
        axis = name[0]
        kernel, dilation = values[f"Kernel{axis}"], values.get(f"Dilation{axis}", 1)
        return _Side(values[name], kernel, values[f"Stride{axis}"], (kernel - 1) * dilation + 1)

    @property
    def solid(self) -> bool:
        """Whether a window has no gaps."""
        return self.span == self.kernel

    @property
    def apart(self) -> bool:
        """Whether no pixel is in two windows."""
        return self.stride >= self.span or (self.size - self.span) // self.stride == 0

    @property
    def surplus(self) -> int:
        """Pixels behind the last window."""
        return (self.size - self.span) % self.stride

    @property
    def kept(self) -> list[bool]:
        """For each pixel whether any window needs it, as ``crop.sv`` decides it."""
        used = self.size - self.surplus
        return [i < used and i % self.stride < self.span for i in range(self.size)]

    @property
    def used(self) -> int:
        """Pixels that some window needs."""
        return sum(self.kept)


def _check(process: Process) -> None:
    unit = process.unit
    channels = (*process.sources, *process.sinks)
    stored = [process.constants] if process.constants else unit.memories
    bits = max(one.bits for one in (*channels, *stored))
    if bits >= WIDEST:
        raise InputError(
            f"unit {unit.name!r}: words of {bits} bits where the HLS integers hold {WIDEST - 1}; "
            "lower pe or simd"
        )
    if any(sink.depth < 1 for sink in process.sinks):
        raise InputError(f"stream after {unit.name!r}: depth 0 holds no word; plan 1 or more")
