"""Work units in processes of their own or on a Dask cluster, in the order they end."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import connection
from typing import TypeVar

from flow.errors import InputError

CONNECT_SECONDS = 10

Work = TypeVar("Work")
Result = TypeVar("Result")


def in_processes(
    work: Callable[[Work], Result], pending: Iterable[Work], *, workers: int
) -> Generator[Result, None, None]:
    """``work`` on everything ``pending``, in this process if one worker will do.

    No more is handed out than ends soon: closing the generator drops the rest.

    Raises:
        InputError: a worker was killed.
    """
    if workers <= 1:
        yield from map(work, pending)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent) as pool:
        try:
            yield from _in_turn(pool, work, iter(pending), lambda: 2 * workers)
        except BrokenProcessPool:
            raise InputError(
                "workers: one was killed, perhaps for want of memory; resume with fewer"
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def in_cluster(
    work: Callable[[Work], Result], pending: Iterable[Work], *, scheduler: str
) -> Generator[Result, None, None]:
    """As :func:`in_processes`, on the workers of the Dask scheduler at this address.

    Work of a worker that dies is done by another; workers may come and go.

    Raises:
        InputError: Dask is not installed, nobody answers at the address, or the same work ended
            several workers.
    """
    try:
        from distributed import Client, KilledWorker
    except ImportError:
        raise InputError("executor: Dask is not installed; install the extra `cluster`") from None
    try:
        client = Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"scheduler: no Dask at {scheduler!r} ({reason}); start one") from None
    with client, client.get_executor(pure=False) as pool:
        try:
            yield from _in_turn(
                pool, work, iter(pending), lambda: 2 * max(1, sum(client.nthreads().values()))
            )
        except KilledWorker as error:
            reason = str(error).partition("\n")[0]
            raise InputError(f"executor: workers die of one unit ({reason}); resume") from None
        finally:
            pool.shutdown(wait=False)


def _in_turn(
    pool: Executor,
    work: Callable[[Work], Result],
    waiting: Iterator[Work],
    ahead: Callable[[], int],
) -> Generator[Result, None, None]:
    running: set[Future[Result]] = set()
    while True:
        for unit in islice(waiting, max(0, ahead() - len(running))):
            running.add(pool.submit(work, unit))
        if not running:
            return
        ended, running = wait(running, return_when=FIRST_COMPLETED)
        for future in ended:
            yield future.result()


def _end_with_parent() -> None:
    """Let a worker end when the campaign's process is killed, instead of waiting for work."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "runs in workers only"

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
