"""Waits for the harness, which streams the images and writes the results."""

from __future__ import annotations

from typing import Any

import cocotb


@cocotb.test()
async def run_to_the_end(dut: Any) -> None:
    """All results are written, or the watchdog has ended the run."""
    await dut.done.value_change
