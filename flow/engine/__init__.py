"""The integer graph on torch: the same integers as ``Graph.evaluate``, many inputs at once."""

from flow.engine import spatial
from flow.engine.batched import BatchedEngine
from flow.engine.exactness import largest_sum, product_dtype

__all__ = ["BatchedEngine", "largest_sum", "product_dtype", "spatial"]
