"""The accelerator driven beat by beat from Python: what the harness saves; for campaign_rtl.py."""

from __future__ import annotations

import json
from pathlib import Path

import cocotb

from sim.stream import always, exchange, reset, start_clock


@cocotb.test()
async def stream_images(dut):
    """Send every word of words.json, take one result per image."""
    job = json.loads(Path("words.json").read_text())
    dut.cfg_valid_i.value = 0
    start_clock(dut)
    await reset(dut)
    taken = await exchange(dut, job["words"], job["images"], offer=always, accept=always)
    Path("taken.json").write_text(json.dumps(taken))
