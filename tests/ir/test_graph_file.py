"""The page on the graph file says what the code writes, and enough to read it without the code."""

import hashlib
import json
import re
from dataclasses import MISSING, fields
from fractions import Fraction

import numpy as np
import pytest
from safetensors.numpy import load_file

from flow.errors import InputError
from flow.graphfile import FORMAT, digest, load_graph, save_graph
from flow.ir import Affine, Edge, Graph, IntType, Node
from flow.ops import OPS, ArgMax, MatVec, Threshold
from sim.runner import ROOT
from tests.engine.images import random_image_graph

PAGE = (ROOT / "docs" / "graph-file.md").read_text()


def example():
    """The network of the page."""
    first = MatVec([[3, -1], [0, 2]], IntType(3, True), IntType(6, True))
    act = Threshold([[1, 4, 9], [-2, 0, 7]], IntType(7, True), [1, -1], 0, IntType(2),
                    signs_stored=True)  # fmt: skip
    last = MatVec([[1, -2], [-3, 2]], IntType(3, True, declared=(-3, 3)), IntType(5, True), "clamp")
    nodes = (
        Node("fc0", first, ("x",), "fc0_out"),
        Node("act0", act, ("fc0_out",), "act0_out"),
        Node("fc1", last, ("act0_out",), "logits"),
        Node("argmax", ArgMax(), ("logits",), "class"),
    )
    affine = (Affine(Fraction(1, 8)), Affine(Fraction(1, 8)))
    edge = Edge((2,), IntType(5, declared=(0, 16)))
    return Graph("example", "x", edge, nodes, "class", Affine(Fraction(1, 16)), affine)


def settings_table():
    """One row per setting of every op, as the page has it."""
    rows = []
    for op in OPS.values():
        for field in fields(op):
            kind = str(field.type).removeprefix("flow.ir.")
            default = "" if field.default is MISSING else f"`{json.dumps(field.default)}`"
            rows.append(f"| `{op.__name__}` | `{field.name}` | {KINDS[kind]} | {default} |")
    return rows


KINDS = {
    "Array": "array",
    "IntType": "type",
    "int": "integer",
    "bool": "true or false",
    "Decode": "`plain` or `clamp`",
    "Compare": "`count` or `search`",
    "Pair": "2 integers",
    "tuple[int, ...]": "integers",
    "tuple[int, int, int, int]": "4 integers",
}


def test_the_example_is_what_the_code_writes(tmp_path):
    written = save_graph(example(), tmp_path / "example.json")
    shown = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL).group(1)
    assert json.loads(shown) == json.loads((tmp_path / "example.json").read_text())
    assert json.loads(shown)["digest"] == written
    assert f"`format` {FORMAT}" in PAGE


def test_every_setting_of_every_op_is_on_the_page():
    lines = PAGE.splitlines()
    table = [line for line in lines if any(line.startswith(f"| `{op}` |") for op in OPS)]
    assert table == settings_table()


def test_every_key_of_the_file_is_on_the_page(tmp_path):
    save_graph(example(), tmp_path / "g.json")
    record = json.loads((tmp_path / "g.json").read_text())
    for key in [*record, *record["nodes"][0], *record["constants"]]:
        assert f"| `{key}` |" in PAGE


@pytest.mark.parametrize(
    "graph", [example(), *map(random_image_graph, range(4))], ids=lambda g: g.name
)
def test_the_digest_follows_from_the_files_by_the_rule_on_the_page(graph, tmp_path):
    """Read with json and safetensors alone, as another program would."""
    save_graph(graph, tmp_path / "g.json")
    record = json.loads((tmp_path / "g.json").read_text())
    twin = tmp_path / record["constants"]["file"]
    assert hashlib.sha256(twin.read_bytes()).hexdigest() == record["constants"]["sha256"]
    stated = record.pop("digest")
    del record["constants"]
    text = json.dumps(record, sort_keys=True, separators=(",", ":"))
    total = hashlib.sha256(text.encode())
    for name, values in sorted(load_file(twin).items()):
        total.update(name.encode() + values.astype("<i8").tobytes())
    assert total.hexdigest() == stated == digest(graph)


def test_constants_take_the_narrowest_of_four_integer_types(tmp_path):
    for bits, dtype in ((8, "int8"), (16, "int16"), (32, "int32"), (63, "int64")):
        kind = IntType(bits, True)
        op = MatVec([[kind.code_lo, kind.code_hi]], kind, IntType(63, True))
        graph = Graph("g", "x", Edge((2,), IntType(1)), (Node("fc0", op, ("x",), "y"),), "y")
        save_graph(graph, tmp_path / "g.json")
        values = load_file(tmp_path / "g.safetensors")["fc0.weights"]
        assert values.dtype == dtype
        np.testing.assert_array_equal(values, op.weights)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (FORMAT + 1, f"graph format {FORMAT + 1} is newer than {FORMAT}; use the bitproof that"),
        (FORMAT - 1, f"graph format {FORMAT - 1} is older than {FORMAT}; lower the model again"),
        (None, r"not a graph file \(no format\); lower the model again"),
        (True, r"not a graph file \(no format\)"),
        ("1", r"not a graph file \(no format\)"),
    ],
)
def test_another_format_is_refused_by_its_age(tmp_path, found, message):
    save_graph(example(), tmp_path / "g.json")
    record = json.loads((tmp_path / "g.json").read_text())
    (tmp_path / "g.json").write_text(json.dumps(record | {"format": found}))
    with pytest.raises(InputError, match=message):
        load_graph(tmp_path / "g.json")


@pytest.mark.parametrize("text", ["[]", "3", "{}", '"graph"'])
def test_json_that_is_no_graph_is_refused(tmp_path, text):
    (tmp_path / "g.json").write_text(text)
    (tmp_path / "g.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match="not a graph file"):
        load_graph(tmp_path / "g.json")
