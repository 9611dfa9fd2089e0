"""The meaning of each layer, on integers."""

from flow.ir import Op
from flow.ops.argmax import ArgMax
from flow.ops.matvec import Decode, MatVec
from flow.ops.threshold import Compare, Threshold

OPS: dict[str, type[Op]] = {op.__name__: op for op in (MatVec, Threshold, ArgMax)}

__all__ = ["OPS", "ArgMax", "Compare", "Decode", "MatVec", "Threshold"]
