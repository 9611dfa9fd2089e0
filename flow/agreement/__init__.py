"""What other tools' float engines make of the same network, element by element."""

from flow.agreement.finn import agree_finn
from flow.agreement.qonnx import agree_qonnx
from flow.agreement.record import Agreement

__all__ = ["Agreement", "agree_finn", "agree_qonnx"]
