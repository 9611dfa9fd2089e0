"""The integer graph in other tools' dialects, so that they can execute it."""

from collections.abc import Callable
from pathlib import Path

from flow.export.finn import export_finn
from flow.export.standard import export_onnx
from flow.export.vnnlib import export_vnnlib
from flow.ir import Graph

FORMATS: dict[str, Callable[[Graph, Path], None]] = {"finn": export_finn, "onnx": export_onnx}

__all__ = ["FORMATS", "export_finn", "export_onnx", "export_vnnlib"]
