"""How a graph is spelled in hardware: memory images, parameters, instances and fault sites."""

from flow.build.generate import build
from flow.build.images import MemoryLayout, graph_layouts, image_bits, image_text, read_image
from flow.build.manifest import Build, load_build
from flow.build.netlist import memory_instance, netlist, netlist_text
from flow.build.sites import FaultSite, SiteTable, site_table

__all__ = [
    "Build",
    "FaultSite",
    "MemoryLayout",
    "SiteTable",
    "build",
    "graph_layouts",
    "image_bits",
    "image_text",
    "load_build",
    "memory_instance",
    "netlist",
    "netlist_text",
    "read_image",
    "site_table",
]
