"""Work units in processes of their own, in the order they end."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from multiprocessing import connection
from typing import TypeVar

Work = TypeVar("Work")
Result = TypeVar("Result")


def in_processes(
    work: Callable[[Work], Result], pending: Sequence[Work], *, workers: int
) -> Generator[Result, None, None]:
    """``work`` on everything ``pending``, in this process if one worker will do.

    No more is handed out than ends soon: closing the generator drops the rest.
    """
    workers = min(workers, len(pending))
    if workers <= 1:
        yield from map(work, pending)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent) as pool:
        waiting = iter(pending)
        running: set[Future[Result]] = set()
        try:
            while True:
                for unit in islice(waiting, 2 * workers - len(running)):
                    running.add(pool.submit(work, unit))
                if not running:
                    return
                ended, running = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _end_with_parent() -> None:
    """Let a worker end when the campaign's process is killed, instead of waiting for work."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "runs in workers only"

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
