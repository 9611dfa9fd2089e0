"""What cannot be exact of images is refused by node, op, reason and remedy."""

import numpy as np
import pytest

from tests.ingest.networks import Writer
from tests.ingest.refused import integers, layer, refusal

PAIR = np.ones((2, 1, 1, 2))


def image(middle):
    """A quantized image of two channels, what ``middle`` makes of it, flattened, four classes."""
    w = Writer((1, 2, 2, 2))
    x = w.node("Flatten", middle(w, w.quant("x", 1.0, 3, signed=False)))
    return w.model(w.node("Gemm", x, w.bipolar(w.constant(np.ones((4, 8)))), transB=1), 4)


OF_IMAGES = {
    "too wide a margin": (
        lambda w, x: w.node("MaxPool", x, kernel_shape=[2, 2], pads=[0, 0, 0, 5000]),
        "node 'MaxPool_1' (MaxPool): pads [0, 0, 0, 5000]; pad by at most 1024",
    ),
    "chosen axes to pad": (
        lambda w, x: w.node("Pad", x, integers(w, 1, 1), w.constant(0.0), integers(w, 3)),
        "node 'Pad_1' (Pad): pads chosen axes; export pads of all axes",
    ),
    "a margin of several values": (
        lambda w, x: w.node("Pad", x, integers(w, *[0] * 8), w.constant([1.0, 2.0])),
        "node 'Pad_1' (Pad): a value of shape (2,); use one",
    ),
    "an average of nothing": (
        lambda w, x: w.node("AveragePool", x, kernel_shape=[0, 0]),
        "node 'AveragePool_1' (AveragePool): a kernel, stride or dilation below 1",
    ),
    "an average that is not quantized again": (
        lambda w, x: w.node("AveragePool", x, kernel_shape=[1, 1]),
        "node 'Gemm_4' (Gemm): follows a layer with no quantizer between; add a QuantIdentity",
    ),
    "zeros around signs": (
        lambda w, x: w.node("Pad", w.bipolar(x), integers(w, *[0] * 6, 1, 1)),
        "node 'Pad_2' (Pad): a bipolar tensor cannot be padded with 0",
    ),
    "an activation that is not quantized between convolutions": (
        lambda w, x: w.node(
            "Conv",
            w.node("Relu", w.node("Conv", x, w.bipolar(w.constant(np.ones((2, 2, 1, 1)))))),
            w.bipolar(w.constant(np.ones((2, 2, 1, 1)))),
            name="conv3",
        ),
        "node 'conv3' (Conv): its input 'Relu_3_out' is not quantized; add a QuantIdentity",
    ),
    "a sum of two orders": (
        lambda w, x: w.node(
            "Add",
            flat := w.node("Flatten", x),
            w.quant(layer(w, flat), 1.0, 3, signed=False),
        ),
        "node 'Add_5' (Add): adds a flattened image to what is none; flatten both or neither",
    ),
}


@pytest.mark.parametrize("case", OF_IMAGES)
def test_what_cannot_be_exact_of_images_is_refused(tmp_path, case):
    middle, message = OF_IMAGES[case]
    assert refusal(image(middle), tmp_path).startswith(message)


def test_thresholds_per_channel_want_channels(tmp_path):
    w = Writer((1, 1))
    x = w.node("Squeeze", w.quant("x", 1.0, 3, signed=False), integers(w, 1))
    x = w.node("MultiThreshold", x, w.constant([[1.0], [2.0]]), domain="finn.custom_op.general")
    line = refusal(w.model(x, 1), tmp_path)
    assert line == "node 'MultiThreshold_2' (MultiThreshold): a tensor without channels"
