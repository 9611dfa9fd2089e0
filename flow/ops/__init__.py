"""The meaning of each layer, on integers.

``OPS`` are the ops that graphs are made of. A stage that does not know one refuses the graph and
names the node: see ``tests/ops/test_every_op.py``.
"""

from flow.ir import Op
from flow.ops.add import Add
from flow.ops.argmax import ArgMax
from flow.ops.layout import Concat, Reshape, Transpose
from flow.ops.matvec import Decode, MatVec
from flow.ops.pad import Pad
from flow.ops.pool import MaxPool, SumPool
from flow.ops.threshold import Compare, Threshold
from flow.ops.window import Window

_ALL: tuple[type[Op], ...] = (
    MatVec, Threshold, ArgMax, Window, Pad, MaxPool, SumPool, Add, Concat, Reshape, Transpose,
)  # fmt: skip
OPS: dict[str, type[Op]] = {op.__name__: op for op in _ALL}

__all__ = [
    "OPS",
    "Add",
    "ArgMax",
    "Compare",
    "Concat",
    "Decode",
    "MatVec",
    "MaxPool",
    "Pad",
    "Reshape",
    "SumPool",
    "Threshold",
    "Transpose",
    "Window",
]
