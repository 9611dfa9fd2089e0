"""Files and folders that are either whole or absent."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flow.errors import InputError


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write ``content`` to a temporary name beside ``path``, then rename over it.

    Raises:
        InputError: the disk is full, or the place cannot be written or is no place for a file; what
            was there is unchanged.
    """
    data = content.encode() if isinstance(content, str) else content
    if path.exists() and not path.is_file() and not path.is_dir():
        raise InputError(f"{path}: a device or a pipe, which no file replaces; name a file")
    try:
        _write_beside(path, data)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror}); make room or choose another place, "
            "then run the same command again"
        ) from None


def _write_beside(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_json(path: Path, record: Any) -> None:
    """Write ``record`` as readable JSON, atomically, with its keys in the order given."""
    write_atomic(path, json.dumps(record, indent=1, default=str) + "\n")


@contextmanager
def whole_directory(path: Path, *, mark: str | None = None) -> Iterator[Path]:
    """Fill a temporary folder that replaces ``path`` only when the block ends without an error.

    With ``mark``, a file that the block writes, only what such a block made before is replaced: a
    folder that holds other files is refused. Without it the folder is known to be ours.

    Raises:
        InputError: ``path`` is a file, or a folder of something else.
    """
    path = path.resolve()
    if path.exists() and not path.is_dir():
        raise InputError(f"{path}: a file where a folder is wanted; choose another name")
    foreign = mark is not None and path.exists() and not (path / mark).is_file()
    if foreign and any(path.iterdir()):
        raise InputError(f"{path}: holds other files and no {mark}; choose another folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    work.chmod(0o755)
    try:
        yield work
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    if path.exists():
        old = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".old.{path.name}."))
        path.rename(old / "old")
        work.rename(path)
        shutil.rmtree(old)
    else:
        work.rename(path)
