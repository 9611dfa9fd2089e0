"""C simulation of a build whose stored words have been struck."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from shutil import copy, copytree

from flow.build import Build, FaultSite, netlist
from flow.build.images import read_image
from flow.build.kernels import emit_kernels
from flow.build.netlist import image_path
from flow.ir import Array, Kind
from sim.csim import HlsResponse, simulate_hls


def simulate_hls_faults(
    build: Build, x: Array, sites: Iterable[FaultSite], *, binaries: Path
) -> HlsResponse:
    """Run the images ``x`` through the HLS C++ of ``build`` with flips at ``sites``.

    The C++ is the build's own; only its tables are written anew, from the images that the RTL
    reads, with the bits inverted. It is compiled for this, so it is for single cases.

    Raises:
        InputError: ``x`` does not fit, or a tool is missing.
        ClaimError: the program does not compile or answer.
        ValueError: a site is no flip.
    """
    graph, plan = build.graph(), build.plan()
    words = {
        memory.name: list(read_image((build.directory / image_path(memory.name)).read_text()))
        for memory in netlist(graph, plan).memories
    }
    for site in sites:
        if site.fault is not None and site.fault.kind is not Kind.FLIP:
            raise ValueError(f"{site.fault}: only flips can be injected")
        words[site.memory][site.word] ^= 1 << site.bit
    with tempfile.TemporaryDirectory(prefix="struck.") as name:
        work = Path(name)
        for part in build.directory.glob("graph.*"):
            copy(part, work)
        copytree(build.directory / "hls", work / "hls")
        (work / "hls" / "images.hpp").write_text(emit_kernels(graph, plan, words)["images.hpp"])
        return simulate_hls(work, x, binaries=binaries, optimise=False)
