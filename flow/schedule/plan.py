"""What changes time, area and physical address, and never a value."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flow.atomic import write_json
from flow.errors import InputError
from flow.schedule.cells import MemoryStyle
from flow.schedule.dataflow import Folding

FORMAT = 2


@dataclass(frozen=True, slots=True)
class Plan:
    """The schedule of one graph: folding by MatVec name, depth by the name of each FIFO.

    Everything else of the hardware follows from these two: see ``placement``.

    Raises:
        InputError: constants with parity, which nothing can change and nothing need check.
    """

    graph_digest: str
    folding: Mapping[str, Folding]
    fifo_depth: Mapping[str, int]
    parity: bool = False  # every word of weights and thresholds has a parity bit, which is checked
    memory_style: MemoryStyle = MemoryStyle.AUTO  # of weights and thresholds

    def __post_init__(self) -> None:
        if self.parity and self.memory_style is MemoryStyle.ROM:
            raise InputError(
                "memory style rom: its words are constants and have no parity; build without "
                "--parity or with another --memory-style"
            )


def plan_digest(plan: Plan) -> str:
    """SHA-256 of the canonical form."""
    text = json.dumps(_describe(plan), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def save_plan(plan: Plan, path: Path) -> str:
    """Write ``path`` atomically as readable JSON; return the digest."""
    digest = plan_digest(plan)
    write_json(path, _describe(plan) | {"digest": digest})
    return digest


def load_plan(path: Path) -> Plan:
    """Read a plan written by :func:`save_plan`.

    Raises:
        InputError: the file is missing, damaged or of another format.
    """
    try:
        record = json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; make it with `bitproof build`") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: not a plan file ({error}); build again") from None
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise InputError(f"{path}: not a plan of format {FORMAT}; build again")
    try:
        plan = Plan(
            graph_digest=str(record["graph_digest"]),
            folding={
                str(name): Folding(int(pair["pe"]), int(pair["simd"]))
                for name, pair in record["folding"].items()
            },
            fifo_depth={str(name): int(depth) for name, depth in record["fifo_depth"].items()},
            parity=bool(record.get("parity", False)),
            memory_style=MemoryStyle(record.get("memory_style", MemoryStyle.AUTO)),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: damaged ({error!r}); build again") from None
    if record != _describe(plan) | {"digest": plan_digest(plan)}:
        raise InputError(f"{path}: damaged (digest differs); build again")
    return plan


def _describe(plan: Plan) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "graph_digest": plan.graph_digest,
        "folding": {
            name: {"pe": folding.pe, "simd": folding.simd} for name, folding in plan.folding.items()
        },
        "fifo_depth": dict(plan.fifo_depth),
        **({"parity": True} if plan.parity else {}),
        **({"memory_style": plan.memory_style.value} if plan.memory_style != "auto" else {}),
    }
