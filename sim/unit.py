"""One RTL unit in simulation: a single build holds every parameter set of its cases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flow.atomic import write_atomic
from sim.runner import RTL, compile_design, simulate
from sim.vectors import Case, save_cases

PARTS = {
    "axi_input": ("width",),
    "axi_output": ("width",),
    "depthwise": ("memory", "dot", "popcount"),
    "matvec": ("replay", "memory", "dot", "popcount"),
    "maxpool": ("pool", "window", "crop"),
    "smoother": ("replay", "noise", "vote"),
    "sumpool": ("pool", "window", "crop"),
    "threshold": ("memory",),
    "threshold_search": ("memory",),
    "window": ("crop",),
}  # library files below each unit
Pin = tuple[str, str, str]  # direction, name, width: a number or a size of the case
STREAM: tuple[Pin, ...] = (
    ("input", "rst_ni", "1"),
    ("input", "valid_i", "1"),
    ("output", "ready_o", "1"),
    ("input", "data_i", "in"),
    ("output", "valid_o", "1"),
    ("input", "ready_i", "1"),
    ("output", "data_o", "out"),
)
SEVERAL: tuple[Pin, ...] = (
    ("input", "rst_ni", "1"),
    ("input", "valid_i", "sources"),
    ("output", "ready_o", "sources"),
    ("input", "data_i", "in"),
    ("output", "valid_o", "sinks"),
    ("input", "ready_i", "sinks"),
    ("output", "data_o", "out"),
)  # input streams, or output streams, of one unit
CONFIGURATION: tuple[Pin, ...] = (
    ("input", "cfg_valid_i", "1"),
    ("input", "cfg_write_i", "1"),
    ("input", "cfg_memory_i", "8"),
    ("input", "cfg_address_i", "16"),
    ("input", "cfg_data_i", "cfg"),
    ("input", "cfg_chain_i", "cfg"),
    ("output", "cfg_chain_o", "cfg"),
    ("output", "detected_o", "memories"),
)
PINS: dict[str, tuple[Pin, ...]] = {
    "add": SEVERAL,
    "argmax": STREAM,
    "concat": SEVERAL,
    "depthwise": (*STREAM, *CONFIGURATION),
    "eager_fork": SEVERAL,
    "fifo": (*STREAM, ("output", "high_water_o", "level")),
    "matvec": (*STREAM, *CONFIGURATION),
    "maxpool": STREAM,
    "memory": (
        ("input", "rst_ni", "1"),
        ("input", "enable_i", "1"),
        ("input", "advance_i", "1"),
        ("input", "address_i", "in"),
        ("output", "data_o", "out"),
        *CONFIGURATION,
    ),
    "noise": (
        *STREAM,
        ("input", "seed_valid_i", "1"),
        ("input", "seed_i", "32"),
    ),
    "pad": STREAM,
    "popcount": (
        ("input", "data_i", "in"),
        ("input", "shared_i", "in"),
        ("output", "count_o", "out"),
    ),
    "replay": STREAM,
    "sumpool": STREAM,
    "threshold": (*STREAM, *CONFIGURATION),
    "vote": STREAM,
    "threshold_search": (*STREAM, *CONFIGURATION),
    "width": STREAM,
    "window": STREAM,
}  # of each unit, besides the clock


def run_unit(
    unit: str, cases: Sequence[Case], *, work: Path, cache: Path, simulator: str = "verilator"
) -> None:
    """Simulate ``hls/rtl/<unit>.sv`` under ``sim/bench/<unit>_bench.py``, all ``cases`` at once.

    Raises:
        ClaimError: the simulator refuses the unit, or a bench fails.
    """
    work.mkdir(parents=True, exist_ok=True)
    top = f"{unit}_cases"
    source = work / f"{top}.sv"
    write_atomic(source, top_text(unit, cases))
    for case in cases:
        images = {store.suffix: store.image for store in case.stores}
        for suffix, image in (images or {"": case.image}).items():
            lines = "".join(f"{word:x}\n" for word in image)
            write_atomic(work / f"{case.name}{suffix}.hex", lines)
    save_cases(cases, work / "cases.json")
    library = [RTL / f"{stem}.sv" for stem in (unit, *PARTS.get(unit, ()))]
    design = compile_design(
        [*library, source], top, cache=cache, simulator=simulator, public={top: ("*",)}
    )
    simulate(design, f"sim.bench.{unit}_bench", work=work)


def top_text(unit: str, cases: Sequence[Case]) -> str:
    """One instance per case; its ports are the top's, prefixed with the case's name.

    The ports lie at the top because Verilator ignores a deposit on an input inside the design.
    """
    ports, instances = ["  input logic clk_i"], []
    clock = [] if unit == "popcount" else [".clk_i(clk_i)"]
    for case in cases:
        pins = PINS[unit]
        ports += [
            f"  {way} logic [{_width(size, case) - 1}:0] {case.name}_{pin}"
            for way, pin, size in pins
        ]
        wired = ",\n    ".join([*clock, *(f".{pin}({case.name}_{pin})" for _, pin, _ in pins)])
        given = ", ".join(f".{name}({value})" for name, value in _parameters(case).items())
        instances.append(f"  {unit} #({given}) u_{case.name} (\n    {wired}\n  );\n")
    header = f"module {unit}_cases (\n" + ",\n".join(ports) + "\n);\n"
    return header + "".join(instances) + "endmodule\n"


def _parameters(case: Case) -> dict[str, int | str]:
    if not case.stores:
        named = case.image and "Constants" not in case.parameters
        file = {"File": f'"{case.name}.hex"'} if named else {}
        return {**case.parameters, **file}
    first = case.stores[0]
    return {
        **case.parameters,
        "File": f'"{case.name}"' if first.suffix else f'"{case.name}.hex"',
        "CfgIndex": first.index,
        "CfgBits": first.cfg_bits,
    }


def _width(size: str, case: Case) -> int:
    match size:
        case "in":
            return case.in_bits
        case "out":
            return case.out_bits
        case "cfg":
            return case.stores[0].cfg_bits if case.stores else 0
        case "memories":
            return len(case.stores)
        case "sources":
            return len(case.widths)
        case "sinks":
            return case.sinks
        case "level":
            return int(case.parameters["Depth"]).bit_length()
        case _:
            return int(size)
