"""The least parallelism that meets a target, by an exact search over divisors."""

from __future__ import annotations

from collections.abc import Mapping

from flow.errors import InputError
from flow.ir import Graph
from flow.schedule.chain import Layer, layers
from flow.schedule.cycles import cycles as cycles_of
from flow.schedule.plan import Folding

PRODUCTS = 64  # per cycle in the largest layer, where no target is given
Cost = tuple[int, int]
Chain = tuple[Folding, ...]


def choose_folding(graph: Graph, *, cycles: int | None = None) -> dict[str, Folding]:
    """The legal folding of least area that needs at most ``cycles`` per image.

    Area is the sum of ``pe * simd * weight bits``; between equals the smaller sum of ``pe + simd``
    wins (short adder trees, narrow streams). Without a target the largest layer does ``PRODUCTS``
    products per cycle. The search is exact: neighbours meet only in one ``pe`` and one ``simd``, so
    the best chain for every last ``pe`` is enough to keep.

    Raises:
        InputError: ``cycles`` is below 1, or ``graph`` is not a chain the hardware has.
    """
    chain = layers(graph)
    if cycles is None:
        cycles = -(-max(layer.rows * layer.columns for layer in chain) // PRODUCTS)
    if cycles < 1:
        raise InputError(f"cycles={cycles}: an image takes at least 1 cycle; ask for 1 or more")
    best: dict[int, tuple[Cost, Chain]] = {}
    for place, layer in enumerate(chain):
        reached: dict[int, tuple[Cost, Chain]] = {}
        for option in _options(layer, cycles):
            bits = layer.op.weight_type.bits
            area, lanes = option.pe * option.simd * bits, option.pe + option.simd
            for (old_area, old_lanes), done in _before(best, option, first=place == 0):
                entry = ((old_area + area, old_lanes + lanes), (*done, option))
                if option.pe not in reached or _key(entry) < _key(reached[option.pe]):
                    reached[option.pe] = entry
        best = reached
    _, folding = min(best.values(), key=_key)
    return {layer.matvec.name: fold for layer, fold in zip(chain, folding, strict=True)}


def check_folding(graph: Graph, folding: Mapping[str, Folding]) -> None:
    """Refuse a folding the hardware cannot have.

    Raises:
        InputError: names the node, the value and the legal choices.
    """
    chain = layers(graph)
    names = [layer.matvec.name for layer in chain]
    for name in folding:
        if name not in names:
            raise InputError(f"folding of {name!r}: no such MatVec; the graph has {_list(names)}")
    before: Layer | None = None
    for layer in chain:
        name = layer.matvec.name
        if name not in folding:
            raise InputError(f"node {name!r}: no folding; give pe and simd")
        fold = folding[name]
        _check_divides(name, "rows", layer.rows, "pe", fold.pe)
        _check_divides(name, "columns", layer.columns, "simd", fold.simd)
        if before is not None:
            lanes = folding[before.matvec.name].pe
            if not _fits(lanes, fold.simd):
                legal = [simd for simd in divisors(layer.columns) if _fits(lanes, simd)]
                raise InputError(
                    f"node {name!r}: simd={fold.simd} and pe={lanes} of {before.matvec.name!r} "
                    f"do not divide one another; choose simd from {_list(legal)}"
                )
        before = layer


def divisors(number: int) -> list[int]:
    """Every positive divisor, ascending."""
    return [d for d in range(1, number + 1) if number % d == 0]


def _options(layer: Layer, cycles: int) -> list[Folding]:
    options = [Folding(p, s) for p in divisors(layer.rows) for s in divisors(layer.columns)]
    return [
        option
        for option in options
        if all(
            cycles_of(node.op, option, elements=layer.rows) <= cycles
            for node in (layer.matvec, layer.after)
        )
    ]


def _before(
    best: Mapping[int, tuple[Cost, Chain]], option: Folding, *, first: bool
) -> list[tuple[Cost, Chain]]:
    if first:
        return [((0, 0), ())]
    return [entry for pe, entry in best.items() if _fits(pe, option.simd)]


def _key(entry: tuple[Cost, Chain]) -> tuple[Cost, list[tuple[int, int]]]:
    """Cost, then the folding itself, so that the choice never depends on search order."""
    return entry[0], [(fold.pe, fold.simd) for fold in entry[1]]


def _fits(lanes: int, simd: int) -> bool:
    return max(lanes, simd) % min(lanes, simd) == 0


def _check_divides(node: str, what: str, size: int, key: str, value: int) -> None:
    if value < 1 or size % value:
        raise InputError(
            f"node {node!r}: {size} {what} cannot be folded by {key}={value}; "
            f"choose one of {_list(divisors(size))}"
        )


def _list(values: list[str] | list[int]) -> str:
    return ", ".join(map(str, values))
