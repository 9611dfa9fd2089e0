"""The Vitis build's top function under its own test bench, against the graph, faults included."""

import re

import pytest

from flow.build import build, netlist, read_image, site_table
from flow.build.vitis import vectors_text
from flow.errors import ClaimError, InputError
from flow.schedule import MemoryStyle, make_plan
from sim.csim import check_vectors
from tests.agreement.test_axi import faults_that_show
from tests.conformance.hls_units import CACHE
from tests.schedule.networks import (
    binary_network,
    four_bit_network,
    random_images,
    searched_network,
)

IMAGES = 4
NETWORKS = {  # a memory of several words per access; several memories of one unit
    "four bits": lambda: four_bit_network([16, 6, 3], seed=3, signs=True),
    "searched": lambda: searched_network([6, 4, 3], seed=3),
}


@pytest.fixture(scope="module", params=NETWORKS)
def case(request, tmp_path_factory):
    graph = NETWORKS[request.param]()
    plan = make_plan(graph, cycles=12, parity=request.param == "four bits")
    place = tmp_path_factory.mktemp("vitis") / "net"
    return graph, plan, build(graph, plan, place, target="vitis").directory


@pytest.mark.parametrize("network", NETWORKS)
def test_constants_outlive_writes_and_are_bound_to_what_was_asked(network, tmp_path):
    graph = NETWORKS[network]()
    plan = make_plan(graph, cycles=12, memory_style=MemoryStyle.ROM)
    directory = build(graph, plan, tmp_path / "net", target="vitis").directory
    vectors = vectors_of(graph, plan, directory)
    runs = re.findall(r"^run.*$", vectors, re.MULTILINE)
    assert len(set(runs)) == 1 < len(runs)
    assert "write" in vectors

    check(directory, vectors)

    stored = r"^static (const )?ap_uint<\d+> \w+(?<!_detected)\["
    tables = re.findall(stored, (directory / "hls/images.hpp").read_text(), re.M)
    assert set(tables) == {"const "}
    bound = (
        (directory / "hls/accelerator.cpp")
        .read_text()
        .count("#pragma HLS BIND_STORAGE variable=fc0_weights type=rom_1p impl=lutram")
    )
    assert bound == 1


def vectors_of(graph, plan, directory):
    """Clean images, each memory's flip that shows, and clean ones again."""
    net, x = netlist(graph, plan), random_images(graph, IMAGES)
    words = {
        memory.name: read_image((directory / "images" / f"{memory.name}.hex").read_text())
        for memory in net.memories
    }
    flips = [(*site, fault) for site, fault in faults_that_show(graph, plan, x)]
    assert len(flips) == len(site_table(graph, plan).layouts)
    return vectors_text(net, graph, words, x, flips)


def check(directory, vectors):
    check_vectors(directory, vectors, binaries=CACHE, optimise=False)


def test_written_weights_show_in_the_logits_as_the_graph_says(case):
    graph, plan, directory = case
    vectors = vectors_of(graph, plan, directory)

    check(directory, vectors)
    check(directory, (directory / "vitis" / "vectors.txt").read_text())
    clean, *faulty, again = re.findall(r"^run.*$", vectors, re.MULTILINE)
    assert again == clean
    assert clean not in faulty


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (
            lambda v: re.sub(r"^write.*$", "read 0 0 0 0", v, count=1, flags=re.M),
            "line 3: a stored",
        ),
        (lambda v: v[: v.index("\n") - 1] + "f" + v[v.index("\n") :], "line 1: a result differs"),
        (lambda v: v.replace("run 4", "run 3", 1), "line 1: words of images were left unread"),
        (lambda v: v.replace("read 0", "look 0", 1), "line 2: no such verb"),
        (lambda v: f"{v}told 0 1\n", r"line \d+: another word is damaged"),
        (lambda v: "", "exit status 2"),
    ],
    ids=["no write", "other result", "fewer images", "verb", "detection", "nothing"],
)
def test_the_bench_can_fail(case, spoil, complaint):
    graph, plan, directory = case
    vectors = vectors_of(graph, plan, directory)

    with pytest.raises(ClaimError, match=rf"^C simulation of .*vitis: {complaint}"):
        check(directory, spoil(vectors))


def test_places_that_do_not_exist_change_and_answer_nothing(case):
    graph, plan, directory = case
    run = vectors_of(graph, plan, directory).splitlines()[0]
    nowhere = [f"{m:x} {a:x} {p:x}" for m, a, p in ((99, 0, 0), (0, 9999, 0), (0, 0, 99))]

    accesses = [f"{verb} {place} 0" for place in nowhere for verb in ("write", "read")]
    check(directory, "\n".join([*accesses, run, ""]))


def test_a_build_for_another_target_has_no_top_for_vitis(tmp_path):
    graph = binary_network([12, 4])
    directory = build(graph, make_plan(graph), tmp_path / "net").directory

    with pytest.raises(InputError, match=r"net: no folder vitis; build with --target vitis$"):
        check(directory, "")
