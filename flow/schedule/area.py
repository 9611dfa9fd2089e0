"""What the units of a dataflow take of a device before their FIFOs are planned, and as one number.

The number is the sum of the shares of the device's tables, flip-flops, block RAM and DSP blocks,
each in billionths: it adds up over units, so that an exact search can minimise it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import cache

from flow.ir import Edge
from flow.schedule.cells import ECP5, Family, Resources
from flow.schedule.dataflow import Unit
from flow.schedule.resources import bus_gates, resources

WHOLE = 10**9  # shares of a device
Weights = tuple[int, int, int, int]  # of one table, flip-flop, block RAM and DSP block


@dataclass(frozen=True, slots=True)
class Device:
    """What a part has: as many tables (LUT4), flip-flops, block RAM and DSP blocks."""

    name: str
    capacity: Resources
    family: Family = ECP5

    @property
    def weights(self) -> Weights:
        """The share of the device that one of each is; nothing has a share of what it lacks."""
        lut, ff, bram, dsp = (WHOLE // count if count else 0 for count in astuple(self.capacity))
        return lut, ff, bram, dsp


ECP5_85F = Device("LFE5U-85F", Resources(lut=83_640, ff=83_640, bram=208, dsp=156))


def weigh(used: Resources, weights: Weights) -> int:
    """``used`` as one number."""
    return sum(count * weight for count, weight in zip(astuple(used), weights, strict=True))


def expected(
    units: Sequence[Unit], edges: Mapping[str, Edge], family: Family = ECP5
) -> Iterator[Resources]:
    """What each unit takes, with FIFOs as deep as :func:`expected_depth` says."""
    for place, unit in enumerate(units):
        depth = expected_depth(unit, units[place + 1 : place + 2]) if unit.module == "fifo" else 0
        yield unit_resources(unit, edges, depth, family)


def expected_depth(fifo: Unit, behind: Iterable[Unit]) -> int:
    """A guess at the depth of a FIFO by what stands behind it, for the search; the plan measures.

    In front of a product that reads each window several times it holds most of a row of windows; a
    branch of a fork waits for two rows of the other one.
    """
    stream = fifo.sinks[0]
    _, width, beats = stream.image
    reader = next((unit for unit in behind if stream in unit.sources), None)
    if reader is not None and reader.module == "matvec":
        folds = len(reader.matvec.weights) // reader.matvec.groups // reader.sinks[0].lanes
        return 2 if folds == 1 or width == 1 else beats + width * beats * (folds - 1) // folds
    if reader is not None and reader.module == "pad":
        return 2 + 2 * beats
    return 2 + 2 * width * beats if fifo.sources[0].shared else 2


def unit_resources(
    unit: Unit, edges: Mapping[str, Edge], depth: int, family: Family = ECP5
) -> Resources:
    """What one planned unit takes, the gates of its memory on the configuration bus included."""
    # build spells the parameters of an instance and stands on this package, so not at the top
    from flow.build.parameters import instance_parameters

    found = instance_parameters(unit, edges, depth or None)
    return _resources(unit.module, tuple(found.items()), family)


@cache
def _resources(module: str, given: tuple[tuple[str, int | str], ...], family: Family) -> Resources:
    parameters = dict(given)
    return resources(module, parameters, family) + Resources(lut=bus_gates(module, parameters))
