"""Exact minimisation of a sum of small tables, by eliminating one variable after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flow.ir import Array

NEVER = 1 << 61  # the cost of what may not be; two of them still add up in int64


@dataclass(frozen=True, eq=False, slots=True)
class Table:
    """A cost, int64, for every choice of ``variables``: one axis each, in their order."""

    variables: tuple[str, ...]
    cost: Array


def minimise(tables: Sequence[Table], sizes: Mapping[str, int]) -> tuple[int, dict[str, int]]:
    """The least sum of all tables and the choice, an index for each of ``sizes``, that has it.

    Of equal choices the same one is always taken. The work grows with the product of the sizes of
    variables that meet in one table while it is eliminated: small for chains and for residual
    networks. A sum of ``NEVER`` or more means that no choice is allowed.
    """
    left, order = list(tables), []
    remaining = list(sizes)
    while remaining:
        name = min(remaining, key=lambda v: (_reach(v, left, sizes), remaining.index(v)))
        remaining.remove(name)
        mine = [table for table in left if name in table.variables]
        left = [table for table in left if name not in table.variables]
        others = sorted({v for table in mine for v in table.variables} - {name})
        whole = np.zeros((*(sizes[v] for v in others), sizes[name]), dtype=np.int64)
        for table in mine:
            whole = np.minimum(whole + _spread(table, (*others, name)), NEVER)
        order.append((name, others, whole.argmin(axis=-1)))
        left.append(Table(tuple(others), whole.min(axis=-1)))
    choice: dict[str, int] = {}
    for name, others, best in reversed(order):
        choice[name] = int(best[tuple(choice[v] for v in others)])
    return min(NEVER, sum(int(table.cost) for table in left)), choice


def _reach(name: str, tables: Sequence[Table], sizes: Mapping[str, int]) -> int:
    together = {v for table in tables if name in table.variables for v in table.variables}
    return int(np.prod([float(sizes[v]) for v in together | {name}]))


def _spread(table: Table, axes: Sequence[str]) -> Array:
    """The cost with one axis for each of ``axes``, of size 1 where the table has none."""
    own = [v for v in axes if v in table.variables]
    turned = table.cost.transpose([table.variables.index(v) for v in own])
    shape = [turned.shape[own.index(v)] if v in own else 1 for v in axes]
    return turned.reshape(shape)
