"""One recogniser per kind of source node; each turns a node into integers or refuses it by name."""

from flow.ingest.nodes import (
    activation,
    affine,
    binary,
    concat,
    convolution,
    dense,
    finn,
    finn_layers,
    fold,
    layout,
    pooling,
    qcdq,
    quant,
    trunc,
)
from flow.ingest.nodes.registry import RECOGNISERS

__all__ = [
    "RECOGNISERS",
    "activation",
    "affine",
    "binary",
    "concat",
    "convolution",
    "dense",
    "finn",
    "finn_layers",
    "fold",
    "layout",
    "pooling",
    "qcdq",
    "quant",
    "trunc",
]
