"""The whole accelerator in RTL is the graph: clean, stalled, and under every stored bit's flip."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from flow.build import SiteTable, build, load_build, site_table
from flow.build.netlist import image_path
from flow.errors import ClaimError, InputError
from flow.ir import Fault, Graph, Kind
from flow.ops import Decode, MatVec
from flow.schedule import Folding, MemoryStyle, Plan, interval, make_plan, simulate_tokens
from sim._session import Session
from sim.accelerator import check_cycles, simulate_faults, simulate_rtl
from tests.schedule.networks import (
    binary_network,
    four_bit_network,
    random_images,
    searched_network,
)

pytestmark = pytest.mark.rtl

# both converters widen and narrow; the first layer is the slowest, or the last one is
SHAPES = {
    "binary": (
        binary_network,
        [8, 12, 6, 4],
        {"fc0": Folding(2, 4), "fc1": Folding(6, 6), "fc2": Folding(4, 2)},
    ),
    "four-bit": (
        four_bit_network,
        [6, 4, 6, 3],
        {"fc0": Folding(4, 6), "fc1": Folding(1, 2), "fc2": Folding(1, 1)},
    ),
}
SHAPES["searched"] = (searched_network, *SHAPES["four-bit"][1:])
STALLS = [(10, 256), (256, 10), (40, 40)]
STRIDE = {"binary": 1, "four-bit": 5, "searched": 11}  # of the flips tried


@dataclass(frozen=True)
class Made:
    shape: str
    graph: Graph
    plan: Plan
    directory: Path
    sites: SiteTable


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    def make_build(shape, seed=0):
        network, sizes, folding = SHAPES[shape]
        graph = network(sizes, seed, signs=True)
        plan = make_plan(graph, folding=folding)
        directory = tmp_path_factory.mktemp(shape) / "build"
        build(graph, plan, directory)
        return Made(shape, graph, plan, directory, site_table(graph, plan))

    return make_build


@pytest.fixture(scope="module", params=SHAPES)
def made(request, make):
    return make(request.param)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("shape", SHAPES)
def test_logits_classes_and_cycles_are_those_of_the_graph_and_plan(
    make, shape, seed, simulator, compiled
):
    made = make(shape, seed)
    x = random_images(made.graph, 40, seed)
    expected = made.graph.evaluate_all(x)

    response = simulate_rtl(made.directory, x, cache=compiled, simulator=simulator)

    np.testing.assert_array_equal(response.logits, expected[made.graph.logits])
    np.testing.assert_array_equal(response.classes, expected[made.graph.output])
    timing = simulate_tokens(made.graph, made.plan.folding, made.plan.fifo_depth, images=len(x))
    assert response.taken.tolist() == list(timing.taken)
    assert set(response.intervals.tolist()) == {interval(made.graph, made.plan.folding)}


@pytest.mark.parametrize(("offer", "accept"), STALLS)
def test_random_stalls_change_no_answer(made, offer, accept, simulator, compiled):
    x = random_images(made.graph, 40)
    expected = made.graph.evaluate_all(x)

    response = simulate_rtl(
        made.directory, x, cache=compiled, simulator=simulator, offer=offer, accept=accept
    )

    np.testing.assert_array_equal(response.logits, expected[made.graph.logits])
    np.testing.assert_array_equal(response.classes, expected[made.graph.output])
    assert len(set(response.intervals.tolist())) > 3  # it did stall


def test_a_flip_of_any_bit_in_rtl_is_the_fault_in_the_graph(made, simulator, compiled):
    x = random_images(made.graph, 6)
    sites = list(made.sites)[:: STRIDE[made.shape]]
    done = []

    found = simulate_faults(
        made.directory,
        x,
        [[site] for site in sites],
        cache=compiled,
        simulator=simulator,
        progress=lambda *counts: done.append(counts),
    )

    faults = [[site.fault] if site.fault is not None else [] for site in sites]
    expected = [made.graph.evaluate_all(x, group) for group in faults]
    logits, classes = (
        np.array([e[edge] for e in expected]) for edge in (made.graph.logits, made.graph.output)
    )
    np.testing.assert_array_equal(found.logits, logits)
    np.testing.assert_array_equal(found.classes, classes)
    assert (logits != made.graph.evaluate_all(x)[made.graph.logits]).any(axis=(1, 2)).sum() > 50
    assert not found.hung.any()
    assert done[-1] == (len(sites), len(sites))


def test_a_flip_to_a_code_beyond_a_narrow_range_is_limited_in_rtl_as_in_the_graph(
    simulator, compiled, tmp_path
):
    network, sizes, folding = SHAPES["four-bit"]
    graph = network(sizes).map(narrow)
    build(graph, make_plan(graph, folding=folding), tmp_path / "build")
    sites = [site for site in load_sites(tmp_path / "build") if site.fault.parameter == "weights"]
    limited = [site for site in sites if reads_another(graph, site.fault)]
    x = random_images(graph, 6)

    found = simulate_faults(
        tmp_path / "build", x, [[s] for s in limited], cache=compiled, simulator=simulator
    )

    logits = np.array([graph.evaluate_all(x, [s.fault])[graph.logits] for s in limited])
    np.testing.assert_array_equal(found.logits, logits)
    assert 3 < len(limited) < len(sites)
    assert (logits != graph.evaluate_all(x)[graph.logits]).any()


STYLES = [
    pytest.param("binary", MemoryStyle.ROM),
    pytest.param("searched", MemoryStyle.ROM),
    pytest.param("binary", MemoryStyle.BLOCK, marks=pytest.mark.slow),
    pytest.param("binary", MemoryStyle.DISTRIBUTED, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("shape", "style"), STYLES)
def test_whatever_memories_are_made_of_answers_cycles_and_flips_are_the_same(
    shape, style, simulator, compiled, tmp_path
):
    network, sizes, folding = SHAPES[shape]
    graph = network(sizes, signs=True)
    plan = make_plan(graph, folding=folding, memory_style=style)
    build(graph, plan, tmp_path / "build")
    x = random_images(graph, 6)
    sites = list(site_table(graph, plan))[:: 3 * STRIDE[shape]]

    response = simulate_rtl(tmp_path / "build", x, cache=compiled, simulator=simulator)
    found = simulate_faults(
        tmp_path / "build", x, [[s] for s in sites], cache=compiled, simulator=simulator
    )

    values = graph.evaluate_all(x)
    np.testing.assert_array_equal(response.logits, values[graph.logits])
    groups = [[site.fault] if site.fault is not None else [] for site in sites]
    logits = np.array([graph.evaluate_all(x, group)[graph.logits] for group in groups])
    np.testing.assert_array_equal(found.logits, logits)
    assert (logits != values[graph.logits]).any(axis=(1, 2)).sum() > 10
    assert all(site.configuration is (style is MemoryStyle.ROM) for site in sites)


def test_a_write_to_constants_changes_nothing_and_a_read_answers(simulator, compiled, tmp_path):
    network, sizes, folding = SHAPES["binary"]
    graph = network(sizes, signs=True)
    build(graph, make_plan(graph, folding=folding, memory_style=MemoryStyle.ROM), tmp_path / "b")
    made, x = load_build(tmp_path / "b"), random_images(graph, 6)
    session = Session(made, x, compiled, simulator)
    images = [
        (tmp_path / "b" / image_path(m.name)).read_text().split() for m in session.net.memories
    ]
    places = [
        (number, address) for number, image in enumerate(images) for address in range(len(image))
    ]
    read = [{"memory": m, "address": a, "data": None} for m, a in places]
    write = [
        {"memory": m, "address": a, "data": f"{(1 << session.net.memories[m].bits) - 1:x}"}
        for m, a in places
    ]

    found = session.run([[]], config=[*write, *read])

    answers = found.summary["config"][len(write) :]
    for (memory, address), word in zip(places, answers, strict=True):
        stored = int(word, 16) % (1 << session.net.memories[memory].bits)
        assert stored == int(images[memory][address], 16)
    np.testing.assert_array_equal(found.logits[0], graph.evaluate_all(x)[graph.logits])


@pytest.fixture(scope="module")
def protected(tmp_path_factory):
    network, sizes, folding = SHAPES["binary"]
    graph = network(sizes, signs=True)
    plan = make_plan(graph, folding=folding, parity=True)
    directory = tmp_path_factory.mktemp("protected") / "build"
    build(graph, plan, directory)
    return Made("binary", graph, plan, directory, site_table(graph, plan))


def test_a_flip_of_any_one_bit_is_detected_and_changes_what_it_changes(
    protected, simulator, compiled
):
    graph, x = protected.graph, random_images(protected.graph, 6)
    sites = list(protected.sites)

    found = simulate_faults(
        protected.directory, x, [[], *([s] for s in sites)], cache=compiled, simulator=simulator
    )

    assert not found.detected[0].any()
    assert found.detected[1:].all()
    faults = [[site.fault] if site.fault is not None else [] for site in sites]
    logits = np.array([graph.evaluate_all(x, group)[graph.logits] for group in [[], *faults]])
    np.testing.assert_array_equal(found.logits, logits)
    assert sum(site.parity for site in sites) == protected.sites.parity == 12 + 6 + 2 + 1 + 3


def test_two_flips_of_one_word_pass_and_of_two_words_do_not(protected, simulator, compiled):
    at = protected.sites.at
    within = [at("fc0.weights", 3, 0), at("fc0.weights", 3, 7)]
    apart = [at("fc0.weights", 3, 0), at("act0.thresholds", 1, 2)]
    x = random_images(protected.graph, 2)
    session = Session(load_build(protected.directory), x, compiled, simulator)

    found = session.run([session.deposits(group) for group in (within, apart, [])])

    assert found.detected.tolist() == [[False, False], [True, True], [False, False]]
    numbers = {memory.name: i for i, memory in enumerate(session.net.memories)}
    both = 1 << numbers["fc0.weights"] | 1 << numbers["act0.thresholds"]
    assert found.summary["detected"] == [0, both, 0]


def narrow(node):
    """The node with weights of -7..7, where -8 is read as -7."""
    if not isinstance(node.op, MatVec):
        return node
    weights = np.clip(node.op.weights, -7, 7)
    kind = node.op.weight_type.within(-7, 7)
    return replace(
        node, op=replace(node.op, weights=weights, weight_type=kind, decode=Decode.CLAMP)
    )


def reads_another(graph, fault):
    """Whether the struck weight is another one with ``clamp`` than with ``plain``."""
    op = graph.with_faults([fault]).node(fault.node).op
    return bool((op.weights != op.read).any())


def load_sites(directory):
    made = load_build(directory)
    return site_table(made.graph(), made.plan())


def test_flips_that_lie_together_act_together_and_two_of_one_bit_cancel(made, simulator, compiled):
    x = random_images(made.graph, 6)
    sites = list(made.sites)
    rng = np.random.default_rng(3)
    groups = [[sites[i] for i in rng.choice(len(sites), 5, replace=False)] for _ in range(30)]
    groups += [[], [sites[0], sites[0]], sites[:8]]

    found = simulate_faults(made.directory, x, groups, cache=compiled, simulator=simulator)

    for group, logits in zip(groups, found.logits, strict=True):
        faults = [site.fault for site in group if site.fault is not None]
        expected = made.graph.evaluate_all(x, faults)
        np.testing.assert_array_equal(logits, expected[made.graph.logits])


def test_fifos_hold_as_many_words_as_the_token_simulation_says(made, simulator, compiled):
    x = random_images(made.graph, 20)
    found = Session(load_build(made.directory), x, compiled, simulator).run([[]])
    timing = simulate_tokens(made.graph, made.plan.folding, made.plan.fifo_depth, images=20)
    assert found.summary["high_water"] == {f"u_{n}": m for n, m in timing.high_water.items()}


def test_the_configuration_port_reads_and_writes_every_memory(made, simulator, compiled):
    session = Session(load_build(made.directory), random_images(made.graph, 2), compiled, simulator)
    accesses, wanted, masks = [], [], []
    for number, memory in enumerate(session.net.memories):
        image = (made.directory / "images" / f"{memory.name}.hex").read_text().split()
        for address, text in enumerate(image):
            word = int(text, 16)
            other = word ^ ((1 << memory.bits) - 1)
            for data, read in ((None, word), (other, None), (None, other), (word, None)):
                hexed = None if data is None else f"{data:x}"
                accesses.append({"memory": number, "address": address, "data": hexed})
                wanted.append(read)
                masks.append((1 << memory.bits) - 1)
    found = session.run([[]], config=accesses).summary["config"]
    for answer, word, mask in zip(found, wanted, masks, strict=True):
        assert word is None or int(answer, 16) & mask == word  # above the word come other bits


def test_a_word_beyond_65536_is_read_and_written(simulator, compiled, tmp_path):
    graph = binary_network([300, 230, 3])
    plan = make_plan(graph, folding={"fc0": Folding(1, 1), "fc1": Folding(1, 1)})
    build(graph, plan, tmp_path / "build")
    session = Session(load_build(tmp_path / "build"), random_images(graph, 1), compiled, simulator)
    far, near = 68_999, 68_999 - 65_536
    word = {a: int(np.signbit(-graph.node("fc0").op.weights.ravel()[a])) for a in (far, near)}
    steps = [(far, None), (far, 1 - word[far]), (far, None), (near, None), (far, word[far])]
    accesses = [
        {"memory": 0, "address": address, "data": None if data is None else f"{data:x}"}
        for address, data in steps
    ]

    found = session.run([[]], config=accesses)

    read = [answer and int(answer, 16) & 1 for answer in found.summary["config"]]
    assert read == [word[far], None, 1 - word[far], word[near], None]
    expected = graph.evaluate_all(session.x)[graph.logits]
    np.testing.assert_array_equal(found.logits[0], expected)


def test_an_accelerator_that_stops_is_a_hang_and_not_a_timeout(make, simulator, compiled):
    made = make("binary")
    x = random_images(made.graph, 3)
    found = Session(load_build(made.directory), x, compiled, simulator).run([[]], accept=0)
    assert found.hung.tolist() == [True]
    assert (found.classes == -1).all()
    with pytest.raises(ClaimError, match="the accelerator stopped before its last result"):
        simulate_rtl(made.directory, x, cache=compiled, simulator=simulator, accept=0)


def test_a_result_in_another_cycle_than_planned_is_an_error(make, simulator, compiled):
    made = make("binary")
    x = random_images(made.graph, 12)
    response = simulate_rtl(made.directory, x, cache=compiled, simulator=simulator)
    late = replace(response, taken=response.taken + (np.arange(12) >= 10))
    with pytest.raises(ClaimError, match="the result of image 10 comes in cycle"):
        check_cycles(made.graph, made.plan, late)


def test_a_site_of_another_build_or_another_kind_is_refused(make, compiled):
    made = make("binary")
    x = random_images(made.graph, 2)
    site = made.sites.site(Fault("fc1", "weights", (0, 1), 0))
    for wrong, message in (
        (replace(site, word=site.word + 1), "this build has flip fc1.weights"),
        (replace(site, memory="fc9.weights"), "not in this build"),
        (
            replace(site, fault=replace(site.fault, kind=Kind.STUCK1)),
            "only flips can be deposited",
        ),
    ):
        with pytest.raises(InputError, match=message):
            simulate_faults(made.directory, x, [[wrong]], cache=compiled)


@pytest.mark.parametrize("wrong", [np.full((2, 8), 17), np.zeros((2, 7), int), np.zeros((2, 8))])
def test_images_that_are_no_input_are_refused(make, compiled, wrong):
    with pytest.raises(InputError, match=r"takes integers 8:u5\[0\.\.16\]; quantize them first$"):
        simulate_rtl(make("binary").directory, wrong, cache=compiled)


def test_no_images_and_no_faults_are_refused(make, compiled):
    made = make("binary")
    with pytest.raises(InputError, match=r"^no images; give at least one$"):
        simulate_rtl(made.directory, np.zeros((0, 8), int), cache=compiled)
    with pytest.raises(InputError, match=r"^no groups of faults"):
        simulate_faults(made.directory, np.zeros((1, 8), int), [], cache=compiled)
