"""The folder ``vivado`` of a build: sources, memory images and scripts for AMD's Vivado.

The scripts are those of ``hls/vivado``, word for word; ``settings.tcl`` has what differs between
builds. Memory images have names of their own and no folder, the form in which Vivado finds them
wherever it runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from flow.build.axi import (
    AXI_MODULES,
    AXI_TOP,
    CLOCK_MHZ,
    PART,
    axi_shape,
    axi_text,
    driver_record,
    settings_text,
)
from flow.build.netlist import Netlist
from flow.build.parameters import MODULES
from flow.ir import Graph

HLS = Path(__file__).resolve().parents[2] / "hls"
VIVADO = "vivado"  # the folder, and the program
SCRIPTS = ("package_ip", "synthesise", "block_design", "pynq_z1", "pynq_z2")
DRIVER = "bitproof_axi.py"


def vivado_files(
    net: Netlist, graph: Graph, images: Mapping[str, str], *, digest: str, part: str = PART
) -> dict[str, str]:
    """The text of every file, by its name in the folder; ``images`` by path in the build.

    The folder takes the accelerator's own sources from ``../rtl``.
    """
    prefix = f"bp{digest[:8]}"
    names = {
        parameter: f"{prefix}_{Path(path).stem.replace('.', '_')}.mem"
        for parameter, path in net.parameters.items()
    }
    shared = {module for unit in net.units for module in MODULES[unit.module]}
    own = [module for module in AXI_MODULES if module not in shared]
    files = {f"rtl/{module}.sv": _library("rtl", f"{module}.sv") for module in own}
    files[f"rtl/{AXI_TOP}.v"] = axi_text(net, graph, names, digest=digest)
    files |= {f"memories/{names[p]}": images[path] for p, path in net.parameters.items()}
    sources = [f"../rtl/{module}.sv" for module in sorted({*shared, "accelerator"})]
    settings: dict[str, str | int | Sequence[str]] = {
        "network": graph.name,
        "digest": digest[:16],
        "top": AXI_TOP,
        "part": part,
        "clock_mhz": CLOCK_MHZ,
        "image_bits": 8 * axi_shape(net, graph).bus,
        "sources": [*sources, *sorted(name for name in files if name.startswith("rtl/"))],
        "memories": sorted(name for name in files if name.startswith("memories/")),
    }
    files["settings.tcl"] = settings_text(settings)
    files["clock.xdc"] = (
        f"create_clock -period {1000 / CLOCK_MHZ:.3f} -name aclk [get_ports aclk]\n"
    )
    files |= {f"{script}.tcl": _library("vivado", f"{script}.tcl") for script in SCRIPTS}
    files["driver.json"] = json.dumps(driver_record(net, graph, digest=digest), indent=1) + "\n"
    files[DRIVER] = _library("drivers", DRIVER)
    return files


def _library(folder: str, name: str) -> str:
    return (HLS / folder / name).read_text()
