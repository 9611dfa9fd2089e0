"""Receiver, transmitter and bridge in simulation, driven by the host's own driver."""

import pytest

from sim.runner import ROOT, RTL, compile_design, simulate

UNITS = ("power_on_reset", "uart_rx", "uart_tx", "crc16", "fifo", "uart_image", "uart_bridge")
HARNESS = ("uart_echo", "uart_harness")


@pytest.mark.rtl
def test_the_bridge_serves_requests_at_its_pins(simulator, compiled, tmp_path):
    sources = [RTL / f"{unit}.sv" for unit in UNITS]
    sources += [ROOT / "sim" / "harness" / f"{module}.sv" for module in HARNESS]
    design = compile_design(sources, "uart_harness", cache=compiled, simulator=simulator)
    simulate(design, "sim.bench.uart_bench", work=tmp_path)
