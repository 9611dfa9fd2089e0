"""RTL under test: parameter sets with the vectors that the reference answers."""

from __future__ import annotations

import numpy as np

from flow.build.images import (
    PADDING,
    image_bits,
    image_text,
    memory_layouts,
    read_image,
    with_parity,
)
from flow.build.parameters import unit_parameters
from flow.ir import Edge, Fault, apply_faults
from sim.vectors import Case, Store
from tests.conformance.hls_units import beats


def stored_case(
    name,
    given,
    folding,
    source,
    x,
    *,
    steps,
    stages,
    spare=3,
    index=5,
    parameters=None,
    fed=None,
    parity=False,
):
    """A MatVec or Threshold on ``x``; the configuration bus is ``spare`` bits wider than a word.

    ``parameters`` are those of the generator unless given; ``fed`` is ``x`` in the order in which
    the unit takes it, shape (vectors, words, lanes), where that differs.
    """
    edge = Edge(x.shape[1:], source)
    lanes = folding.simd if hasattr(given, "weights") else folding.pe
    fed = x.reshape(len(x), -1, lanes) if fed is None else fed
    output = given.out_type(edge).type

    def words(changed):
        return tuple(beats(output.encode(changed.evaluate(x)), folding.pe, output.bits))

    layouts = memory_layouts(given, folding, node="unit")
    layouts = tuple(map(with_parity, layouts)) if parity else layouts
    most = max(layout.bits for layout in layouts)

    def store(place, layout):
        image = read_image(image_text(image_bits(given, layout)))
        clean = words(given)
        address, changed, flipped = _visible_change(given, layout, lambda op: words(op) != clean)
        return Store(
            image=tuple(image),
            bits=most,  # a narrower word is read with zeros above
            cfg_bits=most + spare,
            index=index + place,
            address=address,
            word=image[address] ^ flipped,
            outputs=words(changed),
            suffix=layout.name.removeprefix("unit.thresholds") if len(layouts) > 1 else "",
        )

    return Case(
        name=name,
        parameters={
            **(parameters or unit_parameters(given, folding, "unit", edge)),
            **({"Parity": 1} if parity else {}),
        },
        in_bits=fed.shape[-1] * source.bits,
        out_bits=folding.pe * output.bits,
        inputs=tuple(beats(source.encode(fed), fed.shape[-1], source.bits)),
        outputs=words(given),
        vector=fed.shape[1],
        steps=steps,
        stages=stages,
        stores=tuple(store(place, layout) for place, layout in enumerate(layouts)),
    )


def _visible_change(op, layout, shows):
    """``op`` with random bits of one memory word flipped so that it shows, where, and which bits.

    It is the last word of which some change shows: a search may never come to a place.
    """
    for address in reversed(np.flatnonzero((layout.parameter != PADDING).all(axis=1))):
        for seed in range(100):
            bits = np.flatnonzero(np.random.default_rng(seed).random(layout.bits) < 0.5)
            faults = [_flip(layout, address, b) for b in bits if layout.parameter[address, b] >= 0]
            changed = apply_faults(op, faults)
            if shows(changed):
                return int(address), changed, sum(1 << int(bit) for bit in bits)
    raise AssertionError(f"no change of {layout.name} shows in the outputs; choose other inputs")


def _flip(layout, address, bit):
    parameter = int(layout.parameter[address, bit])
    place = np.unravel_index(int(layout.element[address, bit]), layout.shapes[parameter])
    index = tuple(int(i) for i in place)
    return Fault("unit", layout.parameters[parameter], index, int(layout.bit[address, bit]))


def ends(kind):
    """The smallest and the largest value a stored code of ``kind`` means."""
    return kind.code_lo, kind.code_hi
