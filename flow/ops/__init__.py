"""The meaning of each layer, on integers.

``OPS`` are the ops that graphs are made of. Windows, padding, pools, adds and layout stand ready
beside them as meaning alone; ingestion and hardware do not know them yet.
"""

from flow.ir import Op
from flow.ops.argmax import ArgMax
from flow.ops.matvec import Decode, MatVec
from flow.ops.threshold import Compare, Threshold

OPS: dict[str, type[Op]] = {op.__name__: op for op in (MatVec, Threshold, ArgMax)}

__all__ = ["OPS", "ArgMax", "Compare", "Decode", "MatVec", "Threshold"]
