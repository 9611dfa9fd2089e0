"""What a build holds for one vendor's tool beyond what every build holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from flow.build.netlist import Netlist
from flow.build.sites import SiteTable
from flow.build.vitis import VITIS, default_vectors, vitis_files
from flow.build.vivado import VIVADO, vivado_files
from flow.errors import InputError
from flow.graphfile import digest
from flow.ir import Graph

RTL_ALONE = "rtl"
TARGETS = (RTL_ALONE, VIVADO, VITIS)


def target_files(
    target: str,
    net: Netlist,
    graph: Graph,
    images: Mapping[str, Sequence[int]],
    *,
    sites: SiteTable,
    work: Path,
    part: str,
) -> dict[str, str]:
    """The text of each file that only ``target`` has, by its path in the build ``work``.

    ``images`` has the words of each memory by its name; their texts lie in ``work`` already.

    Raises:
        InputError: there is no such target.
    """
    if target not in TARGETS:
        raise InputError(f"target {target!r}: unknown; choose one of {', '.join(TARGETS)}")
    files: dict[str, str] = {}
    if target == VIVADO:
        texts = {path: (work / path).read_text() for path in net.parameters.values()}
        files = vivado_files(net, graph, texts, digest=digest(graph), part=part)
    elif target == VITIS:
        vectors = default_vectors(net, graph, images, sites)
        files = vitis_files(net, graph, vectors, digest=digest(graph), part=part)
    return {f"{target}/{name}": text for name, text in files.items()}
