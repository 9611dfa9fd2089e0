"""The table of operators, from the recognisers themselves."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flow.ingest.final import FINAL
from flow.ingest.nodes import RECOGNISERS
from flow.ingest.sites import reachable

SHARED = 4  # what more rows than these refuse is listed once
BEGIN, END = "<!-- operators: begin -->", "<!-- operators: end -->"


@dataclass(frozen=True, slots=True)
class Operator:
    """One row: the ops that one function reads, whose they are, what they become, and each reason
    to refuse one, ``...`` for what the message fills in."""

    ops: tuple[str, ...]
    dialect: str
    becomes: str
    refused: tuple[str, ...]

    @property
    def op(self) -> str:
        """The ops by name."""
        return ", ".join(self.ops)


def operator_rows() -> tuple[Operator, ...]:
    """One row per recogniser, by name; the ops of the end of a network last."""
    groups: dict[Callable[..., Any], list[str]] = {}
    for op, recogniser in RECOGNISERS.items():
        groups.setdefault(recogniser.function, []).append(op)
    rows = []
    for function, ops in groups.items():
        dialects = dict.fromkeys(RECOGNISERS[op].dialect for op in ops)
        refused = tuple(dict.fromkeys(site.message for site in reachable(function.__name__)))
        rows.append(Operator(tuple(ops), ", ".join(dialects), _first(function), refused))
    end = "At the end only, where it is dropped: the largest logit, a tie to the smallest index."
    ends = tuple(dict.fromkeys(site.message for site in reachable("logits_tensor")))
    return (*sorted(rows, key=lambda row: row.op), Operator(FINAL, "ONNX", end, ends))


def _first(function: Callable[..., Any]) -> str:
    """The first paragraph of a docstring, as one line."""
    text = inspect.getdoc(function) or ""
    return " ".join(text.split("\n\n")[0].split()).replace("``", "`")


def markdown_table() -> str:
    """What stands between the marks in docs/ingestion.md."""
    rows = operator_rows()
    lines = [BEGIN, "", "| op | dialect | how it is read |", "|---|---|---|"]
    for row in rows:
        ops = ", ".join(f"`{op}`" for op in row.ops)
        lines.append(f"| {ops} | {row.dialect} | {_cell(row.becomes)} |")
    often = Counter(text for row in rows for text in row.refused)
    lines += ["", "Refused, by op (`...` is what the message fills in):", ""]
    for row in rows:
        own = [text for text in row.refused if often[text] <= SHARED]
        if own:
            lines.append(f"- **{row.op}**: " + " · ".join(map(_cell, own)))
    several = [text for text, rows_of_it in often.items() if rows_of_it > SHARED]
    lines.append("- **several ops**: " + " · ".join(map(_cell, several)))
    return "\n".join([*lines, "", END, ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
