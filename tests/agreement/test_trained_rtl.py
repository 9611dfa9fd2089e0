"""What every method trains runs in RTL: logits and classes are those of its integer graph."""

from dataclasses import replace

import numpy as np
import pytest

from flow.build import build
from flow.fitting import fit
from flow.schedule import make_plan
from models.data import load_dataset
from models.executed import lowered
from models.export import export
from models.recipe import Recipe
from models.train import train
from sim.accelerator import simulate_rtl
from tests.models.test_methods import KINDS, TINY, recipe

pytestmark = pytest.mark.rtl

DENSE = {"kind": "fully-connected", "hidden": [12]}
STACK = {"kind": "stack", "convolutions": [(3, 3, 2)], "dense": [6]}
QUICK = ("qa-ibp", "smoothing")

# Plain training, each method alone, methods together, other networks: (methods, network, bits).
TRAINED = {
    "plain": ((), DENSE, (4, 4)),
    "gorsline": ((), DENSE | {"hidden": [20]}, (6, 8)),
    "mixed-widths": ((), DENSE, ([5, 2], 3)),
    **{kind: ((kind,), DENSE, None) for kind in KINDS},
    "pgd+clipping": (("pgd", "clipping"), DENSE, (4, 4)),
    "qa-ibp+clipping": (("qa-ibp", "clipping"), DENSE, (4, 4)),
    "clipping+randbet": (("clipping", "randbet"), DENSE, (4, 4)),
    "qa-ibp+ra-bnn": (("qa-ibp", "ra-bnn"), DENSE, (1, 1)),
    "stack-plain": ((), STACK, (4, 4)),
    "stack-qa-ibp": (("qa-ibp",), STACK, (8, 4)),
    "stack-weight-radius": (("weight-radius",), STACK, (3, 4)),
    "stack-smoothing": (("smoothing",), STACK, (2, 2)),
    "stack-ra-bnn": (("ra-bnn",), STACK | {"padded": True}, (1, 1)),
}


def recipe_named(name):
    kinds, network, bits = TRAINED[name]
    own = {}
    for kind in kinds:
        own |= TINY[kind][1]
    if bits is not None:
        own = {"weight_bits": bits[0], "activation_bits": bits[1]}
    made = recipe("clipping", epochs=2).model_dump()
    methods = [{"kind": kind, **TINY[kind][0]} for kind in kinds]
    return Recipe.model_validate(made | {"network": network | own, "method": methods})


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in TRAINED]
)
def test_a_trained_network_runs_in_rtl_bit_for_bit(name, simulator, compiled, tmp_path):
    data = load_dataset("digits", root=tmp_path)
    data = replace(data, train_x=data.train_x[:300], train_y=data.train_y[:300])
    if TRAINED[name][1]["kind"] == "stack":
        square = (-1, 8, 8, 1)
        data = replace(
            data, train_x=data.train_x.reshape(square), test_x=data.test_x.reshape(square)
        )
    trained = train(recipe_named(name), data)
    graph = lowered(export(trained))
    build(graph, make_plan(graph), tmp_path / "build")
    x = fit(graph, data.test_x[:20], name="digits")
    response = simulate_rtl(tmp_path / "build", x, cache=compiled, simulator=simulator)
    expected = graph.evaluate_all(x)
    np.testing.assert_array_equal(response.logits, expected[graph.logits])
    np.testing.assert_array_equal(response.classes, expected[graph.output])
    np.testing.assert_array_equal(response.classes, trained.logits[:20].argmax(axis=1))
    assert len(set(response.classes.tolist())) > 1
