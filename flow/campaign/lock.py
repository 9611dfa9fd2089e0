"""One run at a time in one directory."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flow.errors import InputError

LOCK = "lock"


@contextmanager
def directory_lock(directory: Path) -> Iterator[None]:
    """Hold ``directory`` alone; the file ``lock`` names the process that does.

    The kernel drops the lock when its process ends, however it ends, so the file of a killed run
    never blocks the next one.

    Raises:
        InputError: a living process holds the directory.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / LOCK).open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            holder = stream.read().strip() or "unknown"
            raise InputError(
                f"{directory}: process {holder} runs a campaign here; wait for it or stop it"
            ) from None
        stream.truncate(0)
        stream.write(f"{os.getpid()}\n")
        stream.flush()
        yield
