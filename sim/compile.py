"""Compile the HLS C++ with the host compiler; programs are cached by what went into them."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache as once
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from shutil import which

from flow.errors import ClaimError, InputError

HLS = Path(__file__).resolve().parents[1] / "hls"
LIBRARY = (HLS / "host", HLS / "kernels")  # the host's hls_stream.h goes before the vendor's
HEADERS = (".h", ".hpp")
FLAGS = (
    "-std=c++17",
    "-pthread",
    *("-Wall", "-Wextra", "-Werror"),
    *("-Wno-unknown-pragmas", "-Wno-unused-label"),  # HLS marks that mean nothing to g++
    # the vendor header's default constructor masks a value it has not set, in whatever inlines it
    *("-Wno-uninitialized", "-Wno-maybe-uninitialized"),
)


def compile_host(
    sources: Sequence[Path],
    *,
    include: Sequence[Path],
    binaries: Path,
    optimise: bool = True,
) -> Path:
    """The program made of ``sources``, from ``binaries`` if the same was compiled before.

    Its name is the SHA-256 of all it depends on: sources, headers of ``include`` and the library,
    flags, compiler and vendor-header version. Parallel callers compile once. Without ``optimise``
    it compiles in half the time and runs slower.

    Raises:
        InputError: there is no g++, or hls4ml with the vendor's headers is not installed.
        ClaimError: g++ refuses the sources.
    """
    folders = [*LIBRARY, *include]
    level = "-O2" if optimise else "-O0"
    command = [_compiler()[0], *FLAGS, level]
    command += [f"-I{folder}" for folder in folders]
    command += ["-isystem", str(vendor_headers()), *map(str, sources)]
    program = binaries / f"csim-{_digest(sources, folders, level)}"
    if program.exists():
        return program
    binaries.mkdir(parents=True, exist_ok=True)
    with program.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            _compile(command, program)
    return program


@once
def vendor_headers() -> Path:
    """The folder of ``ap_int.h`` in the installed hls4ml, which is not imported.

    Raises:
        InputError: hls4ml is not installed, or carries the headers no more.
    """
    found = find_spec("hls4ml")
    for place in (found.submodule_search_locations or []) if found else []:
        folder = Path(place) / "templates" / "vivado" / "ap_types"
        if (folder / "ap_int.h").is_file():
            return folder
    raise InputError("ap_int.h not found: C simulation needs it; install hls4ml 1.3")


@once
def _compiler() -> tuple[str, str]:
    path = which("g++")
    if path is None:
        raise InputError("g++ not found: C simulation needs it; install a C++17 compiler")
    done = subprocess.run([path, "--version"], check=True, capture_output=True, text=True)
    return path, done.stdout


def _digest(sources: Sequence[Path], folders: Sequence[Path], level: str) -> str:
    known = (FLAGS, level, _compiler()[1], version("hls4ml"))
    total = hashlib.sha256(repr(known).encode())
    headers = [p for folder in folders for p in sorted(folder.iterdir()) if p.suffix in HEADERS]
    for path in (*sources, *headers):
        content = path.read_bytes()
        total.update(f"{path.name} {len(content)}\n".encode() + content)
    return total.hexdigest()[:32]


def _compile(command: Sequence[str], program: Path) -> None:
    with tempfile.TemporaryDirectory(dir=program.parent, prefix=".compile.") as work:
        made = Path(work) / "program"
        done = subprocess.run(
            [*command, "-o", str(made)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if "error" in line]
            raise ClaimError(f"g++ refuses {command[-1]}: {(errors or ['no message'])[0]}")
        made.replace(program)
