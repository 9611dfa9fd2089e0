"""Every place in ``flow/ingest`` that refuses a file, found in the source itself.

The table of operators lists them by op, and a test asks for a pinned message for each.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Site:
    """``function`` of ``file`` refuses with ``message``; what the message fills in is ``...``."""

    file: str
    line: int
    function: str
    message: str


@cache
def refusal_sites() -> tuple[Site, ...]:
    """The sites of all modules, in order: ``node.refuse(message)`` and ``InputError(message)``."""
    paths = sorted(_HERE.rglob("*.py"))
    return tuple(site for path in paths for site in _sites(path) if site.message.strip(". "))


@cache
def _calls() -> dict[str, frozenset[str]]:
    """Which functions each function of the package calls, by the keys of both."""
    found: dict[str, set[str]] = {}
    for path in sorted(_HERE.rglob("*.py")):
        file = path.relative_to(_HERE).as_posix()
        for key, function in _functions(path):
            called = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
            names = {c.id for c in called if isinstance(c, ast.Name)}
            methods = {f".{c.attr}" for c in called if isinstance(c, ast.Attribute)}
            found.setdefault(key, set()).update(
                _key(file, name) for name in names | (methods - {".refuse"})
            )
    return {key: frozenset(names) for key, names in found.items()}


def _key(file: str, name: str) -> str:
    """Methods start with a dot; private functions, whose names repeat, are known by their file."""
    return f"{file}:{name}" if name.startswith("_") else name


def _functions(path: Path) -> Iterator[tuple[str, ast.FunctionDef]]:
    file, tree = path.relative_to(_HERE).as_posix(), ast.parse(path.read_text())
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield _key(file, node.name), node
        elif isinstance(node, ast.ClassDef):
            methods = [part for part in node.body if isinstance(part, ast.FunctionDef)]
            yield from ((f".{part.name}", part) for part in methods)


def _sites(path: Path) -> Iterator[Site]:
    file = path.relative_to(_HERE).as_posix()
    for key, function in _functions(path):
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and node.args and _refuses(node.func):
                yield Site(file, node.lineno, key, _template(node.args[0]))


def _refuses(function: ast.expr) -> bool:
    if isinstance(function, ast.Attribute):
        return function.attr == "refuse"
    return isinstance(function, ast.Name) and function.id == "InputError"


def _template(message: ast.expr) -> str:
    """The text of a message, ``...`` for what it fills in."""
    if isinstance(message, ast.Constant):
        return str(message.value)
    if isinstance(message, ast.JoinedStr):
        return "".join(map(_template, message.values))
    return "..."


def reachable(function: str) -> tuple[Site, ...]:
    """The sites of a public function of the package and of all that it calls there."""
    todo, seen = [function], set[str]()
    while todo:
        key = todo.pop()
        if key not in seen:
            seen.add(key)
            todo += _calls().get(key, ())
    return tuple(site for site in refusal_sites() if site.function in seen)
