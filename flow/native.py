"""C++ beside a Python module, compiled once on the machine that runs it."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from functools import cache
from hashlib import sha256
from pathlib import Path
from shutil import which

from flow.errors import InputError

OPTIONS = ("-std=c++17", "-O3", "-march=native", "-fwrapv", "-fPIC", "-shared", "-Wall", "-Wextra")


@cache
def library(source: Path) -> ctypes.CDLL:
    """The shared library made of ``source`` and the headers beside it; kept there too, under a name
    that tells their content.

    Raises:
        InputError: there is no g++.
    """
    compiler = which("g++")
    if compiler is None:
        raise InputError(f"g++ not found: {source.name} needs it; install a C++17 compiler")
    version = subprocess.run([compiler, "-v"], capture_output=True, check=True).stderr
    code = [source, *sorted(source.parent.glob("*.hpp"))]
    about = [" ".join(OPTIONS).encode(), version, _processor()]
    text = b"\n".join([*(file.read_bytes() for file in code), *about])
    name = f"{source.stem}-{sha256(text).hexdigest()[:16]}.so"
    kept = source.parent / "__pycache__" / name
    if not kept.exists():
        kept.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent, prefix=source.stem) as folder:
            made = Path(folder) / name
            subprocess.run([compiler, *OPTIONS, str(source), "-o", str(made)], check=True)
            made.replace(kept)
    return ctypes.CDLL(str(kept))


def _processor() -> bytes:
    """What ``-march=native`` means here: a checkout may be seen from several machines."""
    try:
        lines = Path("/proc/cpuinfo").read_bytes().splitlines()
    except OSError:
        return b""
    return b"".join(sorted({line for line in lines if line.startswith((b"model name", b"flags"))}))
