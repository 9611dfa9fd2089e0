"""The evidence page: complete, self-contained, and honest about what was not run."""

import json
import re

import numpy as np
import pytest

from flow.errors import InputError
from flow.graphfile import digest, save_graph
from flow.report.page import write_report
from tests.engine.chains import random_chain


@pytest.fixture
def folder(tmp_path):
    graph = random_chain(np.random.default_rng(3))
    save_graph(graph, tmp_path / "net" / "graph.json")
    return tmp_path / "net", graph


def page(folder, tmp_path):
    write_report([folder], tmp_path / "report.html")
    return (tmp_path / "report.html").read_text()


def box_record(graph, **changes):
    counts = {"total": 9, "proved": 4, "refuted": 3, "unknown": 1, "misclassified": 1}
    record = {
        "graph": graph.name,
        "graph_digest": digest(graph),
        "radii": [{"radius": 1, **counts}],
        "command": "bitproof certify --radius 1",
    }
    return record | changes


def test_a_network_with_nothing_run_has_a_page_without_numbers(folder, tmp_path):
    text = page(folder[0], tmp_path)
    assert folder[1].name in text
    assert "<svg" in text
    assert "mismatches</b>" not in text


def test_the_page_needs_no_network(folder, tmp_path):
    text = page(folder[0], tmp_path)
    outside_plotly = re.sub(r"<script>.*?</script>", "", text, flags=re.S)
    assert not re.findall(r'(?:src|href)="http', outside_plotly)


def test_results_appear_with_the_command_that_made_them(folder, tmp_path):
    (folder[0] / "input.json").write_text(json.dumps(box_record(folder[1])))
    text = page(folder[0], tmp_path)
    assert "bitproof certify --radius 1" in text
    assert re.search(r'<td class="n good">4</td><td class="n">3</td><td class="n">1</td>', text)


def test_a_result_of_another_graph_is_refused(folder, tmp_path):
    stale = box_record(folder[1], graph_digest="0" * 64)
    (folder[0] / "input.json").write_text(json.dumps(stale))
    with pytest.raises(InputError, match="input is of another graph; run that stage again"):
        page(folder[0], tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_an_unreadable_result_is_refused(folder, tmp_path):
    (folder[0] / "bits.json").write_text("{")
    with pytest.raises(InputError, match=r"bits\.json: unreadable .*; run its stage again"):
        page(folder[0], tmp_path)
