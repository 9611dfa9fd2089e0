"""`bitproof confirm`: what certificates name is run in RTL and equals the graph in every bit."""

import json

import numpy as np
import pytest

from flow.build import build, site_table
from flow.certify import (
    BitSubset,
    Bursts,
    burst_flips,
    certify_bits,
    certify_bursts,
    certify_k_flips,
    certify_pixel,
    load_certificates,
    save_certificates,
    single_flips,
)
from flow.errors import ClaimError, InputError
from flow.evidence import confirm
from flow.graphfile import save_graph
from flow.schedule import Folding, make_plan
from flow.stages import Images
from sim import accelerator
from tests.certify.test_check import tamper
from tests.schedule.networks import binary_network, random_images

pytestmark = pytest.mark.rtl


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The graph, its file, its build, the fault sites and labelled images."""
    folder = tmp_path_factory.mktemp("confirm")
    graph = binary_network([8, 12, 6, 4], 0, signs=True)
    folding = {"fc0": Folding(2, 4), "fc1": Folding(6, 6), "fc2": Folding(4, 2)}
    plan = make_plan(graph, folding=folding)
    save_graph(graph, folder / "graph.json")
    build(graph, plan, folder / "build")
    x = random_images(graph, 20)
    return graph, folder, site_table(graph, plan), Images("random", x, graph.evaluate(x))


def bursts(graph, sites, x, y):
    return certify_bursts(burst_flips(graph, x, y=y, bursts=Bursts(sites, 3)), x, y=y)


def exact(graph, sites, x, y):
    last = BitSubset.choose(graph, layers=["fc1", "act1", "fc2"])
    return certify_k_flips(graph, x, y=y, flips=2, subset=last, method="exact")


def exact_last(graph, sites, x, y):
    last = BitSubset.choose(graph, layers=["fc2"])
    return certify_k_flips(graph, x, y=y, flips=1, subset=last, method="exact")


def budget(graph, sites, x, y):
    last = BitSubset.choose(graph, layers=["fc2"])
    return certify_k_flips(graph, x, y=y, flips=1, subset=last)


def joint(graph, sites, x, y):
    last = BitSubset.choose(graph, layers=["fc1", "fc2"])
    return certify_k_flips(graph, x, y=y, flips=1, subset=last, radius=2)


def single(graph, sites, x, y):
    return certify_bits(single_flips(graph, x, y=y), x, y=y)


def pixel(graph, sites, x, y):
    return certify_pixel(graph, x, y=y, radius=16)


CLAIMS = {
    "bursts": (bursts, False),
    "exact": (exact, False),
    "exact-last": (exact_last, True),
    "budget": (budget, True),
    "joint": (joint, False),
    "single": (single, False),
    "pixel": (pixel, False),
}


def confirmed(made, path, compiled, simulator, **options):
    _, folder, _, images = made
    return confirm(
        path, folder / "graph.json", images, build=folder / "build", cache=compiled,
        simulator=simulator, **options,
    )  # fmt: skip


@pytest.mark.parametrize("claim", CLAIMS)
def test_witnesses_and_the_worst_flips_of_what_is_proved_answer_in_rtl_as_in_the_graph(
    claim, made, tmp_path, simulator, compiled
):
    graph, _, sites, images = made
    certify, both = CLAIMS[claim]
    found = certify(graph, sites, images.x, images.y)
    counts = found.summary()
    assert counts["refuted"] > 2
    assert counts["proved"] > 2 or not both
    save_certificates(found, tmp_path / "c.json")

    record = confirmed(made, tmp_path / "c.json", compiled, simulator)

    assert record["witnesses"] == counts["refuted"]
    of_flips = claim != "pixel"
    assert record["images_of_worst_sets"] == (counts["proved"] if of_flips else 0)
    assert record["worst_sets"] >= record["images_of_worst_sets"]
    assert record["pairs"] >= record["witnesses"] + record["worst_sets"]
    assert record["cycles"] > 0


def test_flips_that_rtl_does_not_see_are_noticed(made, tmp_path, simulator, compiled, monkeypatch):
    graph, _, sites, images = made
    save_certificates(single(graph, sites, images.x, images.y), tmp_path / "c.json")
    usual = accelerator.simulate_faults

    def blind(directory, x, groups, **options):
        return usual(directory, x, [[] for _ in groups], **options)

    monkeypatch.setattr(accelerator, "simulate_faults", blind)
    with pytest.raises(
        ClaimError, match=r"image \d+: under flip .* RTL answers \[.*\], the graph \["
    ):
        confirmed(made, tmp_path / "c.json", compiled, simulator)


def test_a_claim_that_the_worst_flips_refute_is_noticed(made, tmp_path, simulator, compiled):
    graph, _, sites, images = made
    found = exact(graph, sites, images.x, images.y)
    broken = next(k for k, c in enumerate(found.certificates) if c.verdict == "REFUTED")
    save_certificates(found, tmp_path / "c.json")

    def claim(record):
        record["certificates"][broken].update(verdict="PROVED", faults=[])

    tamper(tmp_path / "c.json", claim)
    with pytest.raises(ClaimError, match=rf"image {broken}: PROVED, but .* takes its label"):
        confirmed(made, tmp_path / "c.json", compiled, simulator)


def test_a_witness_that_breaks_nothing_is_noticed(made, tmp_path, simulator, compiled):
    graph, _, sites, images = made
    found = single(graph, sites, images.x, images.y)
    broken = next(k for k, c in enumerate(found.certificates) if c.verdict == "REFUTED")
    save_certificates(found, tmp_path / "c.json")
    tamper(tmp_path / "c.json", lambda record: record["certificates"][broken].update(fault=None))
    with pytest.raises(
        ClaimError, match=rf"image {broken}: REFUTED, but no fault leaves its label"
    ):
        confirmed(made, tmp_path / "c.json", compiled, simulator)


def test_as_many_sets_are_run_as_are_asked_for(made, tmp_path, simulator, compiled):
    graph, _, sites, images = made
    found = exact_last(graph, sites, images.x, images.y)
    save_certificates(found, tmp_path / "c.json")
    few = confirmed(made, tmp_path / "c.json", compiled, simulator, most=1)
    none = confirmed(made, tmp_path / "c.json", compiled, simulator, most=0)
    assert (few["worst_sets"], none["worst_sets"]) == (found.proved, 0)


def test_claims_about_nothing_that_runs_are_refused(made, tmp_path, simulator, compiled):
    from flow.certify import certify_weights

    graph, _, _, images = made
    found = certify_weights(graph, images.x, y=images.y, layers=["fc2"])
    save_certificates(found, tmp_path / "c.json")
    with pytest.raises(InputError, match="property weights: its certificates name nothing that"):
        confirmed(made, tmp_path / "c.json", compiled, simulator)


def test_the_command_prints_what_was_run(made, tmp_path, bitproof, compiled):
    graph, folder, sites, images = made
    np.savez(tmp_path / "images.npz", x=images.x, y=images.y)
    save_certificates(bursts(graph, sites, images.x, images.y), tmp_path / "c.json")
    status, out, _ = bitproof(
        "confirm", tmp_path / "c.json", "--graph", folder / "graph.json", "--data",
        tmp_path / "images.npz", "--build", folder / "build", "--cache", compiled, "--json",
    )  # fmt: skip
    assert status == 0
    record = json.loads(out)
    found = load_certificates(tmp_path / "c.json").summary()
    assert (record["witnesses"], record["worst_sets"]) == (found["refuted"], found["proved"])
    assert record["logit_mismatches"] == 0


def test_images_run_in_several_simulations_where_one_would_be_long(
    made, tmp_path, simulator, compiled, monkeypatch
):
    graph, _, sites, images = made
    found = exact_last(graph, sites, images.x, images.y)
    save_certificates(found, tmp_path / "c.json")
    together = confirmed(made, tmp_path / "c.json", compiled, simulator, most=1)
    few = together["witnesses"] + together["worst_sets"]
    assert together["pairs"] == few * len(np.unique(images.x, axis=0))
    monkeypatch.setattr("flow.evidence.confirmation.TOGETHER", together["cycles"] // 3)
    apart = confirmed(made, tmp_path / "c.json", compiled, simulator, most=1)
    assert few <= apart["pairs"] < together["pairs"]
    assert (apart["witnesses"], apart["worst_sets"]) == (
        together["witnesses"],
        together["worst_sets"],
    )
