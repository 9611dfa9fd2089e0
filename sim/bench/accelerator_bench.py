"""Configures, injects, starts and waits; the harness streams the images and writes the results.

Reads ``job.json`` in its working folder and writes ``summary.json`` there (both described in
``sim/accelerator.py``).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import cocotb
from cocotb.handle import Immediate
from cocotb.triggers import Timer

PERIOD = 10  # ns, of the clock inside the harness
SETTINGS = {"first", "images", "watchdog", "tail", "offer", "accept"}  # of the harness
Bench = Callable[[Any, Mapping[str, Any]], Awaitable[dict[str, Any]]]


@cocotb.test()
async def run_job(dut: Any) -> None:
    """One run of all images for every group of deposits, then every memory against its image."""
    await report(_run, dut)


async def report(run: Bench, dut: Any) -> None:
    """Give ``run`` the job and write down its summary, or what it asserts in vain."""
    job = json.loads(Path("job.json").read_text())
    try:
        summary = await run(dut, job)
    except AssertionError as error:
        summary = {"error": str(error)}
    Path("summary.json").write_text(json.dumps(summary))


async def _run(dut: Any, job: Mapping[str, Any]) -> dict[str, Any]:
    memories, images = await prepared(dut, job)
    summary = no_runs() | {"detected": []}
    if job["config"]:
        summary["config"] = [await _configure(dut, **access) for access in job["config"]]
    for deposits in job["runs"]:
        for name, word, mask in deposits:
            deposit(memories[name][word], images[name][word] ^ int(mask, 16), f"{name}[{word}]")
        dut.start.set(Immediate(1 - int(dut.start.value)))
        await dut.done.value_change
        for name, word, _ in deposits:
            deposit(memories[name][word], images[name][word], f"{name}[{word}] restored")
        count(dut, summary)
        summary["detected"].append(int(dut.detected.value))
    summary["high_water"] = {
        edge: int(at(dut, instance).high_water_q.value) for edge, instance in job["fifos"].items()
    }
    expect_images(memories, images, "at the end")
    return summary


async def prepared(dut: Any, job: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, list[int]]]:
    """Set the harness as the job says, what that leaves out as the harness has it; every parameter
    memory, and the words of its image, which it holds, by name."""
    for name in SETTINGS & job.keys():
        getattr(dut, name).value = job[name]
    await Timer(PERIOD, "ns")
    memories = {name: _words(dut, entry["instance"]) for name, entry in job["memories"].items()}
    images = {name: _image(Path(entry["image"])) for name, entry in job["memories"].items()}
    expect_images(memories, images, "as loaded")
    return memories, images


def no_runs() -> dict[str, Any]:
    """The summary before the first run."""
    return {"extra": [], "protocol": [], "cycles": 0}


def count(dut: Any, summary: dict[str, Any]) -> None:
    """Add the run that has just ended to ``summary``."""
    summary["extra"].append(int(dut.extra_q.value))
    summary["protocol"].append(int(dut.protocol_q.value))
    summary["cycles"] += int(dut.total_q.value)


def expect_images(memories: Mapping[str, Any], images: Mapping[str, list[int]], when: str) -> None:
    """Fail unless every memory holds its image."""
    for name, words in images.items():
        expect_equal(f"{name} {when}", _hash(_read(memories[name], words)), _hash(words))


async def _configure(dut: Any, *, memory: int, address: int, data: str | None) -> str | None:
    """One access on the configuration bus; returns the word read, as hexadecimal."""
    for name, value in (
        ("cfg_memory", memory),
        ("cfg_address", address),
        ("cfg_data", int(data or "0", 16)),
        ("cfg_write", int(data is not None)),
        ("cfg_valid", 1),
    ):
        getattr(dut, name).value = value
    await Timer(PERIOD, "ns")
    dut.cfg_valid.value = 0
    await Timer(PERIOD, "ns")  # the word comes two cycles after its address
    bits = str(dut.cfg_read.value).replace("X", "0")  # above the word may lie what nobody loaded
    word = f"{int(bits, 2):x}" if data is None else None
    await Timer(PERIOD, "ns")
    return word


def deposit(word: Any, value: int, what: str) -> None:
    """Write ``value`` now and read it back."""
    word.set(Immediate(value))
    expect_equal(what, int(word.value), value)


def expect_equal(what: str, found: int | str, wanted: int | str) -> None:
    """Fail, with both values, unless they are the same."""
    if found != wanted:
        raise AssertionError(f"{what}: {found} where {wanted} was written")


def at(dut: Any, instance: str) -> Any:
    """What has the hierarchical name ``instance`` below the accelerator."""
    handle = dut.u_accelerator
    for name, place in re.findall(r"(\w+)(?:\[(\d+)\])?", instance):
        handle = getattr(handle, name)
        handle = handle[int(place)] if place else handle
    return handle


def _words(dut: Any, instance: str) -> Any:
    return at(dut, instance).words


def _image(path: Path) -> list[int]:
    return [int(line, 16) for line in path.read_text().split()]


def _read(memory: Any, words: list[int]) -> list[int]:
    return [int(memory[address].value) for address in range(len(words))]


def _hash(words: Iterable[int]) -> str:
    return hashlib.sha256("\n".join(map(hex, words)).encode()).hexdigest()
