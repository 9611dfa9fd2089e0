"""Run AMD's tools on a build for them, if they are there."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flow.build.manifest import load_build
from flow.build.vitis import VITIS
from flow.build.vivado import VIVADO
from flow.errors import ClaimError, InputError

Progress = Callable[[int, int], None]
TAIL = 4000  # characters of a log searched for its last error
RESULTS = ("*.bit", "*.dcp", "*.hwh", "*.rpt", "*.xml", "*.v", "*.zip")  # what is kept


@dataclass(frozen=True, slots=True)
class VendorTool:
    """A program, the folder of a build that is for it, and the scripts it runs there in order."""

    folder: str
    program: str
    arguments: tuple[str, ...]  # before the script
    scripts: tuple[str, ...]


VENDOR_TOOLS = (
    VendorTool(
        VIVADO,
        "vivado",
        ("-mode", "batch", "-nojournal", "-nolog", "-source"),
        ("package_ip.tcl", "synthesise.tcl"),
    ),
    VendorTool(VITIS, "vitis-run", ("--mode", "hls", "--tcl"), ("build.tcl",)),
)


def run_vendor(directory: Path, *, progress: Progress | None = None) -> dict[str, Any]:
    """Run the tool that the build in ``directory`` is for, in a copy of it beside it.

    The build stays as it is; what the tool made lies in ``<directory>.<tool>``, which is replaced
    whole or not at all.

    Returns:
        ``tool``, ``program``, ``directory`` and the ``files`` of the kinds a user wants.

    Raises:
        InputError: the directory is no build for a vendor's tool, or the tool is not on PATH; the
            line says what was written.
        ClaimError: a script failed; the line has the last error and names the log.
    """
    load_build(directory)
    tool = _tool_of(directory)
    program = shutil.which(tool.program)
    if program is None:
        raise InputError(
            f"{tool.program}: not on PATH; {directory / tool.folder} is written and waits for it "
            f"({', '.join(tool.scripts)})"
        )
    target = directory.resolve().with_name(f"{directory.resolve().name}.{tool.folder}")
    log = target.with_suffix(".log")
    step = progress or (lambda done, total: None)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as name:
        work = Path(name) / directory.resolve().name
        shutil.copytree(directory, work)
        for place, script in enumerate(tool.scripts):
            step(place, len(tool.scripts))
            _run([program, *tool.arguments, script], work / tool.folder, log, append=place > 0)
        shutil.rmtree(target, ignore_errors=True)
        work.replace(target)
    step(len(tool.scripts), len(tool.scripts))
    made = sorted(path for kind in RESULTS for path in (target / tool.folder).rglob(kind))
    return {
        "tool": tool.folder,
        "program": program,
        "directory": str(target),
        "files": [str(path.relative_to(target)) for path in made],
    }


def _tool_of(directory: Path) -> VendorTool:
    for tool in VENDOR_TOOLS:
        if (directory / tool.folder).is_dir():
            return tool
    choices = " or ".join(tool.folder for tool in VENDOR_TOOLS)
    raise InputError(f"{directory}: for no vendor's tool; build with --target {choices}")


def _run(command: list[str], work: Path, log: Path, *, append: bool) -> None:
    with log.open("ab" if append else "wb") as stream:
        done = subprocess.run(
            command,
            cwd=work,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        lines = log.read_text(errors="replace")[-TAIL:].splitlines()
        errors = [line for line in lines if line.startswith("ERROR")]
        reason = (errors or lines[-1:] or ["it wrote no log"])[-1].strip()
        raise ClaimError(f"{command[-1]}: {reason}; see {log}")
