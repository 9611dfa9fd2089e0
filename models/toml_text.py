"""Tables as TOML text, for recipes that programs write."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def toml(values: Mapping[str, Any]) -> str:
    """Tables of scalars and lists, and arrays of such tables, as TOML."""
    lines, tables = [], []
    for key, value in values.items():
        if isinstance(value, dict):
            tables.append(f"\n[{key}]\n{toml(value)}")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            tables += [f"\n[[{key}]]\n{toml(row)}" for row in value]
        else:
            lines.append(f"{key} = {json.dumps(value)}\n")
    return "".join(lines + tables)
