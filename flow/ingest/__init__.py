"""A network in: QONNX to the integer graph, exactly or not at all."""

from flow.ingest.lower import Lowered, lower

__all__ = ["Lowered", "lower"]
