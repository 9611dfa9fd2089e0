"""Streams one image and writes down every word that passes between units.

Reads ``job.json`` in its working folder, writes ``streams.json`` and ``summary.json`` there (both
described in ``sim/nodes.py``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cocotb
from cocotb.handle import Immediate
from cocotb.triggers import FallingEdge, First

from sim.bench.accelerator_bench import deposit, prepared, report


@cocotb.test()
async def run_job(dut: Any) -> None:
    """One run of the image with the deposits in place."""
    await report(_run, dut)


async def _run(dut: Any, job: Mapping[str, Any]) -> dict[str, Any]:
    memories, images = await prepared(dut, job)
    for name, word, mask in job["deposits"]:
        deposit(memories[name][word], images[name][word] ^ int(mask, 16), f"{name}[{word}]")
    words = await _record(dut, job["streams"])
    for name, word, _ in job["deposits"]:
        deposit(memories[name][word], images[name][word], f"{name}[{word}] restored")
    Path("streams.json").write_text(json.dumps(words))
    return {"cycles": int(dut.total_q.value)}


async def _record(dut: Any, streams: Mapping[str, tuple[str, str]]) -> dict[str, list[str]]:
    """The words that were taken, by node. Half a cycle before a clock edge all signals that decide
    what it does are settled."""
    top = dut.u_accelerator
    handles = {
        node: (getattr(top, f"{name}_valid"), getattr(top, f"{name}_ready"), getattr(top, data))
        for node, (name, data) in streams.items()
    }
    words: dict[str, list[str]] = {node: [] for node in streams}
    done = dut.done.value_change
    dut.start.set(Immediate(1 - int(dut.start.value)))
    edge = FallingEdge(dut.clk)
    while await First(done, edge) is edge:
        for node, (valid, ready, data) in handles.items():
            if int(valid.value) and int(ready.value):
                words[node].append(f"{int(data.value):x}")
    return words
