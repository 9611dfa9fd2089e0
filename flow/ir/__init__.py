"""The integer dataflow graph: the one representation every stage of the flow reads."""

from flow.ir.arrays import Array, integers
from flow.ir.fault import Fault, Kind, apply_faults, as_flips, flip_elements
from flow.ir.graph import Affine, Graph, Node, Op
from flow.ir.types import Edge, IntType

__all__ = [
    "Affine",
    "Array",
    "Edge",
    "Fault",
    "Graph",
    "IntType",
    "Kind",
    "Node",
    "Op",
    "apply_faults",
    "as_flips",
    "flip_elements",
    "integers",
]
