"""Networks with one layer that is asked of too much, and what lowering says of them."""

import numpy as np
import pytest

from flow.errors import InputError
from flow.ingest import lower
from tests.ingest.networks import Writer, save

EYE = np.eye(8, dtype=np.float32)


def network(middle):
    """Input quantizer, what ``middle`` adds to the writer, and a last layer of four classes."""
    w = Writer()
    x = middle(w, w.quant("x", 1.0, 3, signed=False))
    return w.model(w.node("Gemm", x, w.bipolar(w.constant(np.ones((4, 8)))), transB=1), 4)


def layer(w, x, **options):
    return w.node("Gemm", x, w.quant(w.constant(EYE), 1.0, 2, signed=True), transB=1, **options)


def chain(*ops):
    """A layer, then ops of constants, then a quantizer."""

    def middle(w, x):
        x = layer(w, x)
        for op, *constants in ops:
            x = w.node(op, x, *map(w.constant, constants))
        return w.bipolar(x)

    return middle


def refusal(model, folder, **options):
    """What is said of a file that is refused."""
    path = save(model, folder)
    with pytest.raises(InputError) as refused:
        lower(path, **options)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def integers(w, *values):
    return w.constant(values, np.int64)
