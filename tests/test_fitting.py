"""What is no input of a graph is refused before anything runs."""

import numpy as np
import pytest

from flow.errors import InputError
from flow.fitting import fit
from flow.ir import Edge, Graph, IntType, Node
from flow.ops import ArgMax


def graph(*shape):
    return Graph("small", "x", Edge(shape, IntType(2)), (Node("a", ArgMax(), ("x",), "c"),), "c")


def test_images_take_the_shape_of_the_input():
    x = np.arange(8, dtype=np.uint8).reshape(2, 2, 2) % 4
    found = fit(graph(4), x, name="set")
    np.testing.assert_array_equal(found, x.reshape(2, 4))
    assert found.dtype == np.int64


@pytest.mark.parametrize(
    ("x", "reason"),
    [
        (np.zeros((0, 4), int), "data set 'set': no images; give at least one"),
        (np.zeros((2, 5), int), "data set 'set': images of (5,), 0..0, do not fit the input 4:u2"),
        (np.full((2, 4), 4), "data set 'set': images of (4,), 4..4, do not fit the input 4:u2"),
        (np.zeros((2, 4)), "data set 'set': images of (4,), 0.0..0.0, do not fit the input 4:u2"),
        (np.zeros((2, 1, 2, 2), int), "a vector of no stated order; give an .npz of vectors"),
    ],
)
def test_what_does_not_fit_is_refused(x, reason):
    with pytest.raises(InputError) as refused:
        fit(graph(4), x, name="set")
    assert reason in str(refused.value)
