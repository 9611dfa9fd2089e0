"""Images as the input of a graph: the one check that every stage makes of its data."""

from __future__ import annotations

import numpy as np

from flow.errors import InputError
from flow.ir import Array, Graph


def fit(graph: Graph, x: Array, *, name: str) -> Array:
    """Images ``x`` of shape (n, ...), of the data set ``name``, in the input shape of ``graph``.

    Raises:
        InputError: none, no integers, of another size or range, or colour images for a vector,
            whose order nothing states.
    """
    edge = graph.input_edge
    if not len(x):
        raise InputError(f"data set {name!r}: no images; give at least one")
    coloured = x.ndim == 4 and x.shape[-1] > 1  # channels last here, first in most files
    if coloured and len(edge.shape) == 1:
        raise InputError(
            f"data set {name!r}: images of {x.shape[1:]} for graph {graph.name!r}, whose "
            f"input {edge} is a vector of no stated order; give an .npz of vectors in its order"
        )
    if x[0].size != edge.elements or x.dtype.kind not in "iu" or not edge.type.contains(x):
        raise InputError(
            f"data set {name!r}: images of {x.shape[1:]}, {x.min()}..{x.max()},"
            f" do not fit the input {edge} of graph {graph.name!r}; choose the data set the "
            "network was trained on"
        )
    return x.reshape(len(x), *edge.shape).astype(np.int64)
