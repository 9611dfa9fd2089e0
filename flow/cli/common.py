"""What the verbs share: the data, and the command that made a record."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from flow import stages


def help_alone(context: typer.Context) -> None:
    """Print the help of a group that was given no verb."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit


def images_of(name: str, limit: int | None, *, part: str = "test") -> stages.Images:
    """The images of a data set, looked for where the environment says."""
    return stages.load_images(name, root=data_root(), limit=limit, part=part)


def data_root() -> Path:
    """Where data sets are: ``BITPROOF_DATA``, or ``data``."""
    return Path(os.environ.get("BITPROOF_DATA", "data"))


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


def signed(record: dict[str, Any]) -> dict[str, Any]:
    """The record with the command that made it."""
    return {**record, "command": shlex.join(["bitproof", *sys.argv[1:]])}


def rows_of(records: Iterable[Any]) -> list[dict[str, Any]]:
    """Dataclasses as JSON-ready rows."""
    return [asdict(record) for record in records]
