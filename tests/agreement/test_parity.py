"""What memories with parity report is the same in RTL and in the HLS C++, flip by flip."""

from dataclasses import replace

import numpy as np
import pytest

from flow.build import build, load_build, netlist, read_image, site_table
from flow.build.vitis import vectors_text
from flow.errors import ClaimError
from flow.passes import search_form
from flow.schedule import Folding, make_plan
from sim._session import Session
from sim.csim import check_vectors, simulate_hls
from sim.csim_faults import simulate_hls_faults
from tests.conformance.hls_units import CACHE
from tests.schedule.networks import four_bit_network, random_images

FOLDING = {"fc0": Folding(2, 3), "fc1": Folding(1, 2), "fc2": Folding(3, 1)}


@pytest.fixture(scope="module")
def protected(tmp_path_factory):
    """One activation is searched, lane by lane, the other is counted."""
    counted = four_bit_network([6, 4, 4, 3], seed=5, signs=True)
    nodes = search_form(counted).nodes[:2] + counted.nodes[2:]
    graph = replace(counted, nodes=nodes)
    plan = make_plan(graph, folding=FOLDING, parity=True)
    place = tmp_path_factory.mktemp("protected") / "net"
    return graph, plan, build(graph, plan, place, target="vitis").directory


def struck_words(directory, net):
    """The words of each memory as built."""
    return {
        memory.name: read_image((directory / "images" / f"{memory.name}.hex").read_text())
        for memory in net.memories
    }


@pytest.mark.rtl
def test_every_flip_is_reported_by_the_memories_that_report_it_in_rtl(
    protected, simulator, compiled
):
    graph, plan, directory = protected
    net, x = netlist(graph, plan), random_images(graph, 3)
    sites = list(site_table(graph, plan))
    session = Session(load_build(directory), x, compiled, simulator)
    found = session.run([session.deposits([site]) for site in sites])
    masks = found.summary["detected"]

    words = struck_words(directory, net)
    text = vectors_text(net, graph, words, x, [(s.memory, s.word, s.bit, s.fault) for s in sites])
    told = list(told_by(masks, sites, net))
    lines = [line for line in text.splitlines() if not line.startswith("told")]
    runs = [place for place, line in enumerate(lines) if line.startswith("run")]
    for place, answers in zip(reversed(runs[1:-1]), reversed(told), strict=True):
        lines[place + 1 : place + 1] = answers
    check_vectors(directory, "\n".join([*lines, ""]), binaries=CACHE, optimise=False)

    assert sum(site.parity for site in sites) == sum(memory.words for memory in net.memories)
    own = [masks[i] >> number_of(net)[site.memory] & 1 for i, site in enumerate(sites)]
    assert [mask.bit_count() for mask in masks] == own  # nobody else's
    silent = {site.memory for site, seen in zip(sites, own, strict=True) if not seen}
    assert all(name.startswith("act0.") for name in silent)  # words that no search came to


def told_by(masks, sites, net):
    """The lines that ask the memory struck and its neighbour, wanted as the RTL reported."""
    for mask, site in zip(masks, sites, strict=True):
        number = number_of(net)[site.memory]
        asked = (number, (number + 1) % len(net.memories))
        yield [f"told {n:x} {bool(mask) + 2 * (mask >> n & 1)}" for n in asked]


def number_of(net):
    return {memory.name: number for number, memory in enumerate(net.memories)}


def test_c_simulation_tells_which_memories_gave_a_damaged_word(protected):
    graph, plan, directory = protected
    net, x, at = netlist(graph, plan), random_images(graph, 4), site_table(graph, plan).at
    clean = simulate_hls(directory, x, binaries=CACHE, optimise=False)
    np.testing.assert_array_equal(clean.logits, graph.evaluate_all(x)[graph.logits])
    assert clean.detected.tolist() == [0] * len(net.memories)

    struck = [at("fc0.weights", 1, 2), at("fc2.weights", 3, 0), at("act1.thresholds", 2, 5)]
    twice = [at("fc1.weights", 2, 0), at("fc1.weights", 2, 3)]
    found = simulate_hls_faults(load_build(directory), x, [*struck, *twice], binaries=CACHE)

    numbers = {number_of(net)[site.memory] for site in struck}
    assert set(np.flatnonzero(found.detected).tolist()) == numbers
    faults = [site.fault for site in (*struck, *twice)]
    np.testing.assert_array_equal(found.logits, graph.evaluate_all(x, faults)[graph.logits])


def test_a_report_stays_until_its_own_memory_is_written(protected):
    graph, plan, directory = protected
    net, x = netlist(graph, plan), random_images(graph, 2)
    words, numbers = struck_words(directory, net), number_of(net)
    stored, place = words["fc0.weights"][1], f"{numbers['fc0.weights']:x} 1 0"
    other = f"{numbers['fc2.weights']:x} 0 0 {words['fc2.weights'][0]:x}"
    run = vectors_text(net, graph, words, x, []).splitlines()[0]
    first, second = (f"told {numbers[name]:x}" for name in ("fc0.weights", "fc2.weights"))
    calls = [f"write {place} {stored ^ 1:x}", f"{first} 0", f"read {place} {stored ^ 1:x}"]
    calls += [f"{first} 3", f"{second} 1", f"write {other}", f"{first} 3"]
    calls += [f"write {place} {stored ^ 5:x}", f"{first} 0", f"read {place} {stored ^ 5:x}"]
    calls += [f"{first} 0", f"write {place} {stored:x}", run, f"{first} 0", f"{second} 0", ""]

    check_vectors(directory, "\n".join(calls), binaries=CACHE, optimise=False)

    wrong = "\n".join(calls).replace(f"{first} 3", f"{first} 1", 1)
    with pytest.raises(ClaimError, match=r"line 4: another word is damaged$"):
        check_vectors(directory, wrong, binaries=CACHE, optimise=False)
