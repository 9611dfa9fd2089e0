"""What this package uses of Brevitas, imported without the warnings of its optional parts."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    # brevitas.graph imports its own deprecated brevitas.fx, and an absent CUDA kernel, at import
    warnings.filterwarnings("ignore", "brevitas.fx is deprecated", DeprecationWarning)
    warnings.filterwarnings("ignore", "fast_hadamard_transform package not found", UserWarning)
    import brevitas.nn as qnn
    from brevitas.export import export_qonnx
    from brevitas.quant import (
        Int8ActPerTensorFloat,
        Int8WeightPerTensorFloat,
        SignedBinaryActPerTensorConst,
        SignedBinaryWeightPerTensorConst,
        Uint8ActPerTensorFloat,
    )

__all__ = [
    "Int8ActPerTensorFloat",
    "Int8WeightPerTensorFloat",
    "SignedBinaryActPerTensorConst",
    "SignedBinaryWeightPerTensorConst",
    "Uint8ActPerTensorFloat",
    "export_qonnx",
    "qnn",
]
