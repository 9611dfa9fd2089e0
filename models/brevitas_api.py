"""What this package uses of Brevitas, imported without the warnings of its optional parts."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from torch import Tensor, nn

with warnings.catch_warnings():
    # brevitas.graph imports its own deprecated brevitas.fx, and an absent CUDA kernel, at import
    warnings.filterwarnings("ignore", "brevitas.fx is deprecated", DeprecationWarning)
    warnings.filterwarnings("ignore", "fast_hadamard_transform package not found", UserWarning)
    import brevitas.nn as qnn
    from brevitas import config
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
    "load_in_place",
    "qnn",
]


def load_in_place(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load a state into the parameters that ``model`` has.

    Brevitas would make quantizers anew, with new parameters for the scales of activations, of which
    an optimiser knows nothing: they would never move again.
    """
    before, config.REINIT_ON_STATE_DICT_LOAD = config.REINIT_ON_STATE_DICT_LOAD, False
    try:
        model.load_state_dict(state)
    finally:
        config.REINIT_ON_STATE_DICT_LOAD = before
