"""How the command line speaks: progress on standard error, results on standard output."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from flow.atomic import write_json

STDERR = Console(stderr=True, highlight=False)
STDOUT = Console(highlight=False, markup=False)
WIDE = 240  # columns of a table that is not printed on a terminal
SHOWN = 8  # entries of a list that are printed


@contextmanager
def progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar with the remaining time on a terminal, start and end lines elsewhere."""
    if not STDERR.is_terminal:
        STDERR.print(f"bitproof: {title} ...", soft_wrap=True)
        yield lambda done, total: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=STDERR, transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def note(line: str) -> None:
    """One line on standard error, as it is."""
    STDERR.print(f"bitproof: {line}", soft_wrap=True, markup=False)


def emit(record: Mapping[str, Any], *, as_json: bool, output: Path | None = None) -> None:
    """Write ``record`` to ``output`` if given, and print it: as one JSON object, or as a table."""
    if output is not None:
        write_json(output, record)
    if as_json:
        STDOUT.print_json(json.dumps(record, default=str), indent=None)
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    for key, value in _flat(record):
        table.add_row(key, value)
    STDOUT.print(table)


def print_rows(rows: list[dict[str, Any]]) -> None:
    """A table with one column per key of the first row."""
    if not rows:
        return
    table = Table()
    for key in rows[0]:
        table.add_column(key, justify="left" if isinstance(rows[0][key], str) else "right")
    for row in rows:
        table.add_row(*(_text(value) for value in row.values()))
    # a file has no edge at which a column would have to be cut
    wide = Console(highlight=False, markup=False, width=WIDE)
    (STDOUT if STDOUT.is_terminal else wide).print(table)


def _flat(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in record.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, list) and any(isinstance(entry, Mapping) for entry in value):
            plain = all(
                not isinstance(v, Mapping | list) for entry in value for v in entry.values()
            )
            if not plain or len(value) > SHOWN:
                yield f"{prefix}{key}", f"{len(value)} entries (--json shows them)"
                continue
            for entry in value:
                yield f"{prefix}{key}", ", ".join(f"{k} {_text(v)}" for k, v in entry.items())
        elif isinstance(value, list) and len(value) > SHOWN:
            yield f"{prefix}{key}", f"{len(value)} entries (--json shows them)"
        else:
            yield f"{prefix}{key}", _text(value)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
