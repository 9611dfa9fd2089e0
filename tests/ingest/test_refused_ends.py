"""What stands behind the last layer is a plain choice of the largest logit, or refused."""

import numpy as np
import onnx
import pytest

from flow.errors import InputError
from flow.ingest import lower
from tests.ingest.networks import Writer, dense, save
from tests.ingest.refused import refusal


def test_one_logit_is_no_choice_and_refused(tmp_path):
    with pytest.raises(InputError) as refused:
        lower(save(dense(sizes=(8, 6, 1)), tmp_path))
    assert str(refused.value).endswith(
        "(Gemm): one logit, so nothing to choose from; end in a logit per class"
    )


def ends(*nodes):
    """The network of ``dense`` with nodes behind its logits."""
    model = dense()
    for op, constants, attributes in nodes:
        names = [f"end{i}" for i in range(len(constants))]
        arrays = map(onnx.numpy_helper.from_array, map(np.asarray, constants), names)
        model.graph.initializer.extend(arrays)
        last = model.graph.output[0].name
        node = onnx.helper.make_node(op, [last, *names], ["end"], name="end", **attributes)
        model.graph.node.append(node)
        model.graph.output[0].name = "end"
    return model


ENDS = {
    "an activation": (
        ("Relu", [], {}),
        "node 'end' (Relu): the logits end in an activation; end in a layer",
    ),
    "argmax of the batch": (
        ("ArgMax", [], {}),
        "node 'end' (ArgMax): works along the batch; use the class axis, -1",
    ),
    "ties to the last": (
        ("ArgMax", [], {"axis": -1, "select_last_index": 1}),
        "node 'end' (ArgMax): gives a tie to the largest index; use select_last_index=0",
    ),
    "the two largest": (
        ("TopK", [np.array([2])], {}),
        "node 'end' (TopK): picks other than the one largest logit; use k=1 and largest=1",
    ),
}


@pytest.mark.parametrize("case", ENDS)
def test_an_end_that_is_no_plain_choice_of_the_largest_is_refused(tmp_path, case):
    end, message = ENDS[case]
    assert refusal(ends(end), tmp_path) == message


def test_the_logits_are_one_number_per_class_of_a_layer(tmp_path):
    w = Writer((1, 1, 2, 2))
    pair = w.constant(np.ones((2, 1, 1, 2)))
    x = w.node("Conv", w.quant("x", 1.0, 3, signed=False), w.bipolar(pair))
    line = refusal(w.model(x, 2), tmp_path)
    assert line == "node 'Conv_2' (Conv): logits of shape (2, 2, 1); end in one logit per class"
    model = dense()
    model.graph.output[0].name = "x"
    assert refusal(model, tmp_path).endswith("net.onnx: output 'x' is no result of a layer")
    model = ends(("Softmax", [], {}))
    model.graph.node[-1].input[:] = [""]
    assert refusal(model, tmp_path) == "node 'end' (Softmax): has no input"
