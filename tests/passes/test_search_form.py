import numpy as np
import pytest
from hypothesis import given

from flow.ops import Compare, Threshold
from flow.passes import check_trained, search_form
from tests.schedule.networks import binary_network, four_bit_network, networks, random_images


@given(networks())
def test_every_value_of_a_trained_network_stays(graph):
    x = random_images(graph, 20)
    searched = check_trained(search_form(check_trained(graph)))
    for edge, values in graph.evaluate_all(x).items():
        np.testing.assert_array_equal(searched.evaluate_all(x)[edge], values)


@pytest.mark.parametrize(
    ("make", "form"), [(binary_network, "count"), (four_bit_network, "search")]
)
def test_thresholds_of_two_steps_and_more_are_searched(make, form):
    graph = search_form(make([4, 4, 3]))
    forms = [node.op.compare for node in graph.nodes if isinstance(node.op, Threshold)]
    assert forms == [Compare(form)]
