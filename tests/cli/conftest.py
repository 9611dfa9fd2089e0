import pytest

from flow.graphfile import save_graph
from tests.cli.small import digits_graph


@pytest.fixture
def graph_file(tmp_path):
    save_graph(digits_graph(), tmp_path / "graph.json")
    return tmp_path / "graph.json"
