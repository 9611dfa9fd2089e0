"""Deliberate faults in the bound code, each of which the soundness tests must catch.

    python -m tests.soundness.faults [NAME ...]

Each fault changes one line of a copy of the tree; the tests named with it must then fail. Exit
status 1 if one survives, or if a line to change is no longer there: then bring the list up to date.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIST = Path(__file__).with_name("faults.toml")
LONGEST = 600  # seconds for the tests of a fault, which take one minute or two
COPIED = ("flow", "models", "sim", "tests", "hls", "pyproject.toml")


@dataclass(frozen=True, slots=True)
class Fault:
    """``old`` becomes ``new``, once, in a file (from flow/certify); ``tests`` must fail then."""

    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def load_faults(path: Path = LIST) -> dict[str, Fault]:
    """The faults of ``faults.toml`` by name."""
    found = tomllib.loads(path.read_text())
    groups = found["groups"]
    return {
        name: Fault(entry["file"], entry["old"], entry["new"], tuple(groups[entry["tests"]]))
        for name, entry in found["faults"].items()
    }


def survives(fault: Fault, tree: Path) -> bool:
    """Whether the tests pass with the fault in ``tree``, which is left as it was.

    Tests that do not end, as where a fault takes a search its progress, do not pass.
    """
    path = tree / "flow" / "certify" / fault.file
    text = path.read_text()
    path.write_text(text.replace(fault.old, fault.new, 1))
    try:
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
        run = subprocess.run(
            [*command, "-m", "not slow", *fault.tests],
            cwd=tree,
            env={**os.environ, "PYTHONPATH": str(tree)},
            capture_output=True,
            check=False,
            timeout=LONGEST,
        )
    except subprocess.TimeoutExpired:
        return False
    finally:
        path.write_text(text)
    return run.returncode == 0


def main(names: list[str]) -> int:
    """Try the faults named, or all; say what became of each."""
    faults = load_faults()
    chosen = names or list(faults)
    bad = []
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        for name in COPIED:
            source = ROOT / name
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, tree / name)
        for name in chosen:
            fault = faults[name]
            text = (tree / "flow" / "certify" / fault.file).read_text()
            if fault.old not in text:
                result = "not there: bring the list up to date"
            else:
                result = "SURVIVES" if survives(fault, tree) else "caught"
            if result != "caught":
                bad.append(name)
            print(f"{name:18} {fault.file:18} {result}", flush=True)
    print(f"{len(chosen) - len(bad)} of {len(chosen)} caught")
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
