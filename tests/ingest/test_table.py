"""The page lists what the code reads, and says of every refusal what a test pins."""

import ast
from pathlib import Path

from flow.ingest.nodes import RECOGNISERS
from flow.ingest.sites import refusal_sites
from flow.ingest.table import BEGIN, END, markdown_table, operator_rows
from sim.runner import ROOT

PAGE = ROOT / "docs" / "ingestion.md"


def test_the_page_has_the_table_that_the_code_makes():
    text = PAGE.read_text()
    there = text[text.index(BEGIN) : text.index(END) + len(END) + 1]
    assert there == markdown_table(), (
        "docs/ingestion.md: replace what stands between the marks by what "
        "`bitproof operators --markdown` prints"
    )


def test_every_op_has_one_row_that_says_what_it_becomes():
    rows = operator_rows()
    ops = [op for row in rows for op in row.ops]
    assert set(RECOGNISERS) < set(ops)
    assert len(ops) == len(set(ops))
    assert all(row.becomes.endswith((".", ";")) for row in rows), "give the function a docstring"


def test_a_row_lists_the_refusals_of_all_that_its_function_calls():
    conv = next(row for row in operator_rows() if "Conv" in row.ops)
    assert "follows a layer with no quantizer between; add a QuantIdentity" in conv.refused
    assert "alpha ... is negative, so the step is not monotone" not in conv.refused


def test_every_refusal_is_pinned_by_a_test():
    """A message that no test quotes may be wrong, or never said."""
    quoted = [text.replace("\\", "") for path in _tests() for text in _strings(path)]
    missing = [site for site in refusal_sites() if not _pinned(site.message, quoted)]
    listed = "".join(f"\n  flow/ingest/{s.file}:{s.line}: {s.message!r}" for s in missing)
    assert not missing, (
        "add a case to REFUSED in tests/ingest/test_refusals.py, or any test of tests/ingest that "
        f"raises the refusal and quotes its message, for:{listed}"
    )


def _pinned(message, quoted):
    """Whether the start or the end of a fixed part of a message stands in a test."""
    parts = [part.strip(" ,;:()'") for part in message.split("...")]
    parts = [part for part in parts if len(part) > 7] or [max(parts, key=len)]
    return any(part[:24] in text or part[-24:] in text for part in parts for text in quoted)


def _tests():
    return [p for p in Path(__file__).parent.glob("*.py") if p.name != Path(__file__).name]


def _strings(path):
    """The texts of a module, docstrings apart."""
    tree = ast.parse(path.read_text())
    notes = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in notes:
            yield node.value
