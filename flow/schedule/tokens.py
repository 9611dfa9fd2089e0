"""Units as movers of words, and the program that moves them cycle by cycle.

What each kind of actor does is said once, in ``tokens.cpp``; here are its constants. In Python a
network of images takes minutes, and buffers should take seconds.
"""

from __future__ import annotations

import subprocess
import tempfile
from atexit import register
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from shutil import rmtree, which

from flow.errors import InputError

PROGRAM = Path(__file__).with_suffix(".cpp")
Flags = bytes  # 0 or 1 by step


@dataclass(frozen=True, slots=True)
class Loop:
    """A pipeline: each step takes a word of every source or none, and makes one or none."""

    sources: tuple[int, ...]
    sink: int
    takes: Flags
    makes: Flags
    stages: int  # cycles until a word made is offered


@dataclass(frozen=True, slots=True)
class Queue:
    """A FIFO of ``depth`` words."""

    source: int
    sink: int
    depth: int


@dataclass(frozen=True, slots=True)
class Fork:
    """Every word to each sink at its own time."""

    source: int
    sinks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Turns:
    """Words of the sources one after the other, by ``turn``."""

    sources: tuple[int, ...]
    sink: int
    turn: Flags


@dataclass(frozen=True, slots=True)
class Margins:
    """Words of an image, where ``image`` is 1, between words of its own."""

    source: int
    sink: int
    image: Flags


@dataclass(frozen=True, slots=True)
class Windows:
    """A buffer of ``depth`` words that gives a window once its whole ``extent`` is inside."""

    source: int
    sink: int
    keep: Flags  # by word of a frame, 0 where no window needs it
    leaving: tuple[int, ...]  # words that leave the buffer with each window of a frame
    words: int  # of a window
    extent: int
    depth: int


Actor = Loop | Queue | Fork | Turns | Margins | Windows


@dataclass(frozen=True, slots=True)
class Moved:
    """The cycles in which results were taken, and of each queue the most words it held and the
    least depth that would have taken every word when it came."""

    taken: tuple[int, ...]
    high_water: tuple[int, ...]
    need: tuple[int, ...]


def move(
    actors: Sequence[Actor],
    *,
    streams: int,
    output: int,
    images: int,
    patience: int,
    pace: tuple[int, int] = (0, 1),
) -> Moved:
    """Run ``actors``, from front to back, until ``images`` results have been taken on ``output``.

    ``pace``: so many cycles for so many words, evenly offered on stream 0. A run without a result
    for ``patience`` cycles ends early.

    Raises:
        InputError: there is no g++.
    """
    head = (streams, output, images, patience, *pace)
    lines = [" ".join(map(str, head)), *map(_line, actors)]
    text = "\n".join(lines)
    done = subprocess.run([_program()], input=text, capture_output=True, text=True, check=True)
    taken, *queues = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    return Moved(taken, tuple(q[0] for q in queues), tuple(q[1] for q in queues))


def _line(actor: Actor) -> str:
    words: list[str | int] = [type(actor).__name__]
    for field in fields(actor):
        value = getattr(actor, field.name)
        if isinstance(value, bytes):
            words.append("".join(map(str, value)))
        elif isinstance(value, tuple):
            words += [len(value), *value]
        else:
            words.append(value)
    return " ".join(map(str, words))


@cache
def _program() -> Path:
    """The compiled program, once a process: it takes less time than finding a place to keep it."""
    compiler = which("g++")
    if compiler is None:
        raise InputError("g++ not found: planning needs it; install a C++17 compiler")
    folder = Path(tempfile.mkdtemp(prefix="tokens."))
    register(rmtree, folder, ignore_errors=True)
    program = folder / "tokens"
    command = [compiler, "-std=c++17", "-O2", "-Wall", "-Wextra", str(PROGRAM), "-o", str(program)]
    subprocess.run(command, check=True, capture_output=True)
    return program
