"""qonnx's execution of the source file against the graph lowered from it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow.agreement.float_error import file_integers, is_excused, is_excused_weight, logit_error
from flow.agreement.record import Agreement
from flow.ingest.decision import Decision, WeightDecision
from flow.ingest.lower import Lowered
from flow.ingest.reader import load_model
from flow.ir import Array, Graph
from flow.ops import ArgMax

Floats = NDArray[np.floating[Any]]
Quantized = Decision | WeightDecision


def agree_qonnx(path: Path, lowered: Lowered, x: Array) -> Agreement:
    """Execute the file ``path`` with qonnx and compare every quantizer output with the graph: of
    weights, of the input and of activations; then the logits as integers, and their class.

    Where float32 decided an element otherwise and is excused, the run continues from the graph's
    tensor, so that one rounding is not counted again in later layers.
    """
    graph = lowered.graph
    expected = graph.evaluate_all(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # qonnx converts one-element arrays to numbers
        run = _Run(path, len(x), _input(lowered, x))
        elements = excused = wrong = 0
        quantizers = run.in_order([*lowered.weights, *lowered.decisions])
        for one in quantizers:
            if isinstance(one, WeightDecision):
                exact = one.meaning()
                excuse = partial(is_excused_weight, one)
            else:
                exact = one.arrange(one.meaning(file_integers(graph, one.output, expected)))
                excuse = partial(_is_excused, graph, one, expected)
            verdicts = [excuse(*differing) for differing in run.differing(one.tensor, exact)]
            elements += exact.size
            excused += sum(verdicts)
            wrong += len(verdicts) - sum(verdicts)
            run.settle(one.tensor, exact)
        logits = run.tensors[lowered.logits.tensor].reshape(len(x), -1)
    integers = _integers(lowered, expected, logits)
    return Agreement(
        "qonnx",
        len(x),
        len(quantizers),
        elements,
        excused,
        wrong,
        int((integers != file_integers(graph, lowered.logits.edge, expected)).sum()),
        int((_classes(lowered, integers) != expected[graph.output]).sum()),
    )


def _is_excused(
    graph: Graph,
    decision: Decision,
    values: Mapping[str, Array],
    place: tuple[int, ...],
    found: float,
) -> bool:
    """``is_excused`` of a place on the file's axes."""
    shape = values[decision.output].shape[1:]
    inner = map(int, np.unravel_index(decision.view[place[1:]], shape))
    return is_excused(graph, decision, values, (place[0], *inner), found)


class _Run:
    """qonnx's tensors of one batch, where a tensor can be replaced and what follows run again."""

    def __init__(self, path: Path, batch: int, x: Floats) -> None:
        from qonnx.core.modelwrapper import ModelWrapper
        from qonnx.core.onnx_exec import execute_onnx
        from qonnx.transformation.change_batchsize import ChangeBatchSize
        from qonnx.transformation.infer_shapes import InferShapes

        self._execute = execute_onnx
        self._model = ModelWrapper(load_model(path))
        name = self._model.graph.input[0].name
        if self._model.get_tensor_shape(name)[0] != batch:  # drops shapes that FINN's ops need
            self._model = self._model.transform(ChangeBatchSize(batch))
        self._model = self._model.transform(InferShapes())
        self.tensors: Mapping[str, Floats] = execute_onnx(self._model, {name: x}, True)

    def in_order(self, quantizers: list[Quantized]) -> list[Quantized]:
        """The quantizers as they stand in the file, so that none is run again once settled."""
        names = [name for node in self._model.graph.node for name in node.output]
        return sorted(quantizers, key=lambda one: names.index(one.tensor))

    def differing(self, tensor: str, exact: Floats) -> list[tuple[tuple[int, ...], float]]:
        """Where qonnx has another value than ``exact``, and which; a shape of its own is all."""
        found = np.broadcast_to(self.tensors[tensor], exact.shape)
        places = [tuple(map(int, place)) for place in np.argwhere(found != exact)]
        return [(place, float(found[place])) for place in places]

    def settle(self, tensor: str, exact: Floats) -> None:
        """Put ``exact`` in the place of ``tensor`` if it differs, and run what follows again."""
        if np.array_equal(self.tensors[tensor], exact):
            return
        nodes = list(self._model.graph.node)
        place = next(i for i, node in enumerate(nodes) if tensor in node.output)
        self.tensors = {**self.tensors, tensor: exact.astype(np.float32)}
        if place + 1 < len(nodes):
            held = {name: value for name, value in self.tensors.items() if name}
            self.tensors = self._execute(self._model, held, True, start_node=nodes[place + 1])


def _input(lowered: Lowered, x: Array) -> Floats:
    """The floats nearest to what the integers mean, on the file's axes."""
    affine = lowered.graph.input_affine
    start: Floats = (float(affine.scale) * x + float(affine.offset)).astype(np.float32)
    return start.reshape(len(x), -1)[:, lowered.input_view]


def _integers(lowered: Lowered, expected: Mapping[str, Array], logits: Floats) -> Array:
    """The integers that float logits stand for, by exact division with their stated scales.

    Float32 makes the quotient miss its integer a little: where it misses by more than float32's
    error of that very sum, the result is -1 less than any integer, so that it counts as different.
    """
    graph, stated = lowered.graph, lowered.logits
    whole = file_integers(graph, stated.edge, expected)
    integers = np.full(logits.shape, int(whole.min()) - 1)
    for place, found in np.ndenumerate(logits):
        affine = stated.affine[place[-1]]
        rest = Fraction(float(found)) - affine.offset
        # a class that does not depend on the data has no integer to tell
        nearest = round(rest / affine.scale) if affine.scale else int(whole[place])
        if abs(rest - nearest * affine.scale) <= logit_error(graph, stated, expected, place):
            integers[place] = nearest
    return integers


def _classes(lowered: Lowered, integers: Array) -> Array:
    """The class of every image by the file's own scales and biases, in rationals."""
    affine = lowered.logits.affine
    if len(set(affine)) == 1 and affine[0].scale > 0:
        return ArgMax().evaluate(integers)
    rows = [
        [one.scale * value + one.offset for one, value in zip(affine, row, strict=True)]
        for row in integers.tolist()
    ]
    return np.array([row.index(max(row)) for row in rows])
