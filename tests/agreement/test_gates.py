"""The gates that synthesis makes of an accelerator are the graph, and hold its images."""

from types import SimpleNamespace

import numpy as np
import pytest

from flow.build import build, load_build, site_table
from flow.build.netlist import image_path
from flow.errors import ClaimError
from flow.ir import Kind
from flow.schedule import Folding, make_plan
from sim.gates import check_contents, simulate_gates, synthesise_gates
from tests.schedule.networks import binary_network, random_images

pytestmark = [pytest.mark.rtl, pytest.mark.slow]

FOLDING = {"fc0": Folding(2, 4), "fc1": Folding(6, 6), "fc2": Folding(4, 2)}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A network of three layers in iCE40 cells, weights in block RAM and in registers."""
    graph = binary_network([8, 12, 6, 4], 0, signs=True)
    work = tmp_path_factory.mktemp("gates")
    plan = make_plan(graph, folding=FOLDING)
    build(graph, plan, work / "build")
    gates = synthesise_gates(load_build(work / "build"), work / "gates")
    return SimpleNamespace(graph=graph, plan=plan, gates=gates)


def test_synthesis_used_block_ram(made):
    assert made.gates.cells()["SB_RAM40_4K"] > 0


def test_gates_answer_as_the_graph(made, simulator, compiled):
    x = random_images(made.graph, 60, seed=1)
    found = simulate_gates(made.gates, x, cache=compiled, simulator=simulator)
    values = made.graph.evaluate_all(x)
    np.testing.assert_array_equal(found.logits[0], values[made.graph.logits])
    np.testing.assert_array_equal(found.classes[0], values[made.graph.output].reshape(-1))


def test_every_memory_word_in_gates_is_its_image(made, simulator, compiled):
    x = random_images(made.graph, 2)
    read = check_contents(made.gates, x, cache=compiled, simulator=simulator)
    layouts = site_table(made.graph, made.plan).layouts
    assert read == {memory.name: memory.words for memory in layouts}


def test_a_written_fault_answers_as_the_graph_with_that_fault(made, simulator, compiled):
    """One flip in each memory, written through the configuration port."""
    x = random_images(made.graph, 60, seed=2)
    table = site_table(made.graph, made.plan)
    clean = made.graph.evaluate_all(x)[made.graph.logits]
    changed = 0
    for number, memory in enumerate(table.layouts):
        site = next(s for s in table if s.memory == memory.name and s.fault is not None)
        assert site.fault.kind is Kind.FLIP
        image = (made.gates.build.directory / image_path(memory.name)).read_text().split()
        word = f"{int(image[site.word], 16) ^ (1 << site.bit):x}"
        access = {"memory": number, "address": site.word, "data": word}
        found = simulate_gates(made.gates, x, cache=compiled, simulator=simulator, config=[access])
        wanted = made.graph.evaluate_all(x, faults=[site.fault])[made.graph.logits]
        np.testing.assert_array_equal(found.logits[0], wanted)
        changed += not np.array_equal(wanted, clean)
    assert changed


def test_contents_that_differ_from_an_image_are_named(made, simulator, compiled, tmp_path):
    """The comparison can fail: another network's gates do not hold this one's images."""
    other = binary_network([8, 12, 6, 4], 1, signs=True)
    build(other, make_plan(other, folding=FOLDING), tmp_path / "build")
    wrong = type(made.gates)(load_build(tmp_path / "build"), made.gates.directory)
    with pytest.raises(ClaimError, match=r"memory fc0\.weights word \d+: .* its image has"):
        check_contents(wrong, random_images(other, 1), cache=compiled, simulator=simulator)
