"""Foldings chosen by hand, read from a file."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from flow.errors import InputError
from flow.schedule.dataflow import Folding


def load_folding(path: Path) -> dict[str, Folding]:
    """The folding in a TOML file with a table ``[node]`` of ``pe`` and ``simd`` for each MatVec, or
    in a JSON file of the same shape; a ``plan.json`` is read too.

    Whether the values are legal is for :func:`check_folding`.

    Raises:
        InputError: the file is missing or is no such file.
    """
    try:
        text = path.read_text()
        found = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; write [node] tables with pe and simd") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: not a folding file ({error}); write TOML or JSON") from None
    if isinstance(found, dict) and isinstance(found.get("folding"), dict):
        found = found["folding"]
    if not isinstance(found, dict):
        raise InputError(f"{path}: not a folding file; write [node] tables with pe and simd")
    return {name: _pair(path, name, given) for name, given in found.items()}


def _pair(path: Path, name: str, given: Any) -> Folding:
    keys = ("pe", "simd")
    if not isinstance(given, dict) or set(given) != set(keys):
        raise InputError(f"{path}: node {name!r}: give pe and simd, and nothing else")
    for key in keys:
        if type(given[key]) is not int:
            raise InputError(f"{path}: node {name!r}: {key}={given[key]!r} is not an integer")
    return Folding(given["pe"], given["simd"])
