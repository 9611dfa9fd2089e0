"""From graph and plan to a build directory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from shutil import copyfile

import pyarrow.parquet as pq

from flow.atomic import whole_directory, write_atomic, write_json
from flow.build.axi import PART
from flow.build.images import image_bits, image_text, read_image
from flow.build.kernels import emit_kernels
from flow.build.manifest import MANIFEST, Build, save_manifest, sha256, tool_versions
from flow.build.netlist import TOP, Netlist, image_path, netlist, netlist_text
from flow.build.parameters import MODULES
from flow.build.report import report
from flow.build.sites import site_table
from flow.build.targets import RTL_ALONE, target_files
from flow.errors import InputError
from flow.graphfile import digest, save_graph
from flow.ir import Graph
from flow.schedule import ECP5, Family, Plan, check_folding, save_plan

RTL = Path(__file__).resolve().parents[2] / "hls" / "rtl"


def build(
    graph: Graph,
    plan: Plan,
    directory: Path,
    *,
    target: str = RTL_ALONE,
    part: str = PART,
    family: Family = ECP5,
) -> Build:
    """Write everything a simulator or synthesis needs into ``directory``, whole or not at all.

    The directory is relocatable: generated RTL names memory images relative to it, so tools run in
    it or in a folder that holds its ``images``. The same arguments give the same bytes. Targets
    ``vivado`` and ``vitis`` add a folder of that name with sources and scripts for ``part``. Cells
    are estimated for ``family``.

    Raises:
        InputError: the plan is of another graph or illegal, the RTL library lacks a unit, or there
            is no such target.
    """
    if plan.graph_digest != digest(graph):
        raise InputError(f"graph {graph.name!r}: the plan is of another graph; plan again")
    check_folding(graph, plan.folding)
    net = netlist(graph, plan)
    sites = site_table(graph, plan)
    with whole_directory(directory, mark=MANIFEST) as work:
        save_graph(graph, work / "graph.json")
        plan_digest = save_plan(plan, work / "plan.json")
        _write_rtl(net, work)
        images = _write_images(net, graph, work)
        kernels = emit_kernels(graph, plan, images)
        for name, text in kernels.items():
            write_atomic(work / "hls" / name, text)
        extra = target_files(target, net, graph, images, sites=sites, work=work, part=part)
        for name, text in extra.items():
            write_atomic(work / name, text)
        pq.write_table(sites.table(), work / "sites.parquet", compression="zstd")
        write_json(work / "report.json", report(graph, plan, sites, family))
        made = Build(
            directory=work,
            top=TOP,
            parameters=net.parameters,
            files=_hashes(work),
            graph_digest=plan.graph_digest,
            plan_digest=plan_digest,
            sites_digest=sites.digest(),
            tools=tool_versions(),
        )
        save_manifest(made)
    return replace(made, directory=directory)


def _write_rtl(net: Netlist, work: Path) -> None:
    write_atomic(work / "rtl" / f"{TOP}.sv", netlist_text(net))
    modules = {module for unit in net.units for module in MODULES[unit.module]}
    for module in sorted(modules):
        copyfile(RTL / f"{module}.sv", work / "rtl" / f"{module}.sv")


def _write_images(net: Netlist, graph: Graph, work: Path) -> dict[str, list[int]]:
    """Write all memory images and constants; the words of each memory by its name."""
    images = {}
    for memory in net.memories:
        text = image_text(image_bits(graph.node(memory.node).op, memory))
        write_atomic(work / image_path(memory.name), text)
        images[memory.name] = read_image(text)
    for unit in net.units:
        if unit.constants is not None:
            write_atomic(work / image_path(unit.constants.name), unit.constants.text)
    return images


def _hashes(work: Path) -> dict[str, str]:
    return {
        str(path.relative_to(work)): sha256(path)
        for path in sorted(work.rglob("*"))
        if path.is_file()
    }
