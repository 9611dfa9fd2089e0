"""A network in: QONNX to the integer graph, exactly or not at all."""

from flow.ingest.again import lower_again
from flow.ingest.explain import Explained, RefusedError
from flow.ingest.lower import Lowered, lower

__all__ = ["Explained", "Lowered", "RefusedError", "lower", "lower_again"]
