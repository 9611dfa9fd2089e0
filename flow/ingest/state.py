"""What is known of each tensor of the file while the integer graph grows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import prod

import numpy as np

from flow.errors import InputError
from flow.ingest.decision import Decision, WeightDecision
from flow.ingest.order import file_view, flattened
from flow.ingest.reader import Constant, Source, SourceNode
from flow.ingest.steps import Affine, Step
from flow.ir import Array, Edge, Graph, IntType, Node, Op
from flow.ops import Decode, Reshape
from flow.passes import Change, Policy

_OF_IMAGES = (
    "Conv", "Pad", "MaxPool", "AveragePool", "GlobalAveragePool", "ReduceMean",
    "Im2Col", "MaxPoolNHWC", "QuantAvgPool2d",
)  # fmt: skip

DEQUANTIZE = "put a DequantizeLinear between them (QDQ form)"


@dataclass(frozen=True, eq=False, slots=True)
class Real:
    """A float tensor as an exact function of an integer edge: ``steps`` applied in order.

    ``view`` has the tensor's own axes without the batch, and says which element of the edge,
    counted in the graph's order, stands where; on an edge of several axes these are its axes in
    some order, mostly its ``file_view``. ``quantized`` when the edge holds what a quantizer (or a
    statement of the input's integers) said.
    """

    edge: str
    steps: tuple[Step, ...]
    view: Array
    quantized: bool = False

    def then(self, step: Step) -> Real:
        """The tensor after one more step."""
        return replace(self, steps=(*self.steps, step))

    @property
    def affine(self) -> Affine | None:
        """The steps as one affine map, or None if another kind of step is among them."""
        scale: tuple[Fraction, ...] = (Fraction(1),)
        offset: tuple[Fraction, ...] = (Fraction(0),)
        for step in self.steps:
            if not isinstance(step, Affine):
                return None
            scale, offset = (
                _each(lambda a, s: a * s, scale, step.scale),
                _each(lambda o, s, b: o * s + b, offset, step.scale, step.offset),
            )
        return Affine(scale, offset)


@dataclass(frozen=True, eq=False, slots=True)
class Weights:
    """A constant that passed a quantizer: ``value = scale * codes``, the zero point taken off.

    ``codes`` keep the file's axes; ``scale`` is one value, or an array of as many axes.
    """

    codes: Array
    scale: Constant  # of Fraction
    type: IntType

    @property
    def values(self) -> Constant:
        """The numbers that the codes mean, as Fractions."""
        product: Constant = self.codes.astype(object) * self.scale
        return product


@dataclass(frozen=True, eq=False, slots=True)
class Codes:
    """Integers between a QuantizeLinear and its DequantizeLinear: ``tensor`` is to be quantized to
    ``low..high``; where ``stored``, it is a constant of codes already. ``axis`` is that of a scale
    per channel. ``done`` holds the result once one DequantizeLinear has read it."""

    tensor: Real | Constant
    scale: Constant
    zero: Constant
    low: int
    high: int
    axis: int | None
    stored: bool = False
    done: list[Real] = field(default_factory=list)


Tensor = Real | Weights | Codes | Constant


@dataclass(frozen=True, eq=False, slots=True)
class Reading:
    """What reading one node of the file came to: its first output, and what the graph and the
    records gained on the way."""

    node: SourceNode
    result: Tensor
    made: tuple[Node, ...]
    decisions: tuple[Decision, ...]
    weights: tuple[WeightDecision, ...]
    stated: Edge | None  # the type of the input, where this node said it


@dataclass(slots=True)
class State:
    """The graph so far, and what every tensor of the file is."""

    source: Source
    policy: Policy
    decode: Decode
    input_edge: Edge | None = None
    input_view: Array | None = None  # of the file's input tensor, where it is an image
    input_affine: Affine | None = None
    nodes: list[Node] = field(default_factory=list)
    edges: dict[str, Edge] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    origin: dict[str, str] = field(default_factory=dict)  # graph edge -> tensor of the file
    decisions: list[Decision] = field(default_factory=list)
    weights: list[WeightDecision] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)  # that the passes made at the end

    def add(self, prefix: str, op: Op, inputs: tuple[str, ...], *, source: SourceNode) -> str:
        """Append a node named ``prefix`` and a number; return its output edge."""
        number = sum(node.name.startswith(prefix) for node in self.nodes)
        name = f"{prefix}{number}"
        try:
            edge = op.out_type(*(self.edges[i] for i in inputs))
        except ValueError as error:
            raise source.refuse(str(error)) from None
        output = f"{name}_out"
        self.nodes.append(Node(name, op, inputs, output))
        self.edges[output] = edge
        return output

    def real(self, node: SourceNode, place: int = 0) -> Real:
        """The input of ``node`` that must come from the data."""
        tensor = self.tensors[node.inputs[place]]
        if isinstance(tensor, Real):
            return tensor
        if isinstance(tensor, Codes):
            raise node.refuse(f"reads the codes of a quantizer; {DEQUANTIZE}")
        raise node.refuse(f"input {place} is a constant where data is wanted")

    def constant(self, node: SourceNode, place: int) -> Constant:
        """The input of ``node`` that must be a plain constant."""
        tensor = self.tensors[node.inputs[place]]
        if isinstance(tensor, np.ndarray):
            return tensor
        if isinstance(tensor, Codes):
            raise node.refuse(f"reads the codes of a quantizer; {DEQUANTIZE}")
        raise node.refuse(f"input {node.inputs[place]!r} must be a constant; fold it at export")

    def per_channel(
        self, node: SourceNode, place: int, real: Real, *, first: bool = False
    ) -> tuple[Fraction, ...]:
        """A constant, quantized or not, for ``real``: one value, or one per channel of its edge as
        the constant broadcasts to the tensor; ``first``: along the first axis after the batch."""
        tensor = self.tensors[node.inputs[place]]
        values = tensor.values if isinstance(tensor, Weights) else self.constant(node, place)
        if values.size == 1:
            return fractions(values)
        return fractions(self.along(node, values, real, first=first))

    def along(
        self, node: SourceNode, values: Constant, real: Real, *, first: bool = False
    ) -> Constant:
        """One entry of ``values`` per channel of the edge of ``real``; refuses what differs within
        a channel. The channels of a vector are its elements."""
        edge = self.shape(real)
        channels = edge[-1] if len(edge) > 1 else real.view.size
        shape, axes = real.view.shape, values
        if first and values.ndim == 1 and shape:
            axes = values.reshape(-1, *[1] * (len(shape) - 1))
        elif values.ndim == len(shape) + 1 and values.shape[0] == 1:
            axes = values[0]
        named = len(shape) == 1 or len(edge) > 1
        wanted = f"{channels} channels" if named else f"a tensor of shape {shape}"
        refused = node.refuse(
            f"a constant of shape {values.shape} for {wanted}; use one value, or one each"
        )
        try:
            whole = np.broadcast_to(axes, shape)
        except ValueError:
            raise refused from None
        ordered: Constant = np.empty(real.view.size, dtype=whole.dtype)
        ordered[real.view.ravel()] = whole.ravel()
        rows = ordered.reshape(-1, channels)
        if (rows != rows[0]).any():
            raise refused
        one: Constant = rows[0]
        return one

    def shape(self, real: Real) -> tuple[int, ...]:
        """The shape of the edge of a tensor; nothing while that is not known."""
        return self.edges[real.edge].shape if real.edge in self.edges else ()

    def result(self, edge: str, *steps: Step, quantized: bool = False) -> Real:
        """The tensor that a node of the graph makes, on the axes that the file gives it."""
        return Real(edge, steps, file_view(self.edges[edge].shape), quantized)

    def image(self, node: SourceNode, real: Real) -> tuple[int, int, int]:
        """Height, width and channels of an image; refuses others, and channels not first."""
        shape = self.shape(real)
        if len(shape) != 3:
            raise node.refuse(f"an input of shape {shape} is no image; only 2-D images are read")
        if not np.array_equal(real.view, file_view(shape)):
            raise node.refuse(
                f"its image has axes {real.view.shape} for {shape[-1]} channels; put the channels "
                "first (NCHW)"
            )
        return shape[0], shape[1], shape[2]

    def vector(self, node: SourceNode, real: Real) -> Real:
        """The same tensor on an edge that is a vector, its steps for each element."""
        shape = self.shape(real)
        if len(shape) < 2:
            return real
        edge = self.add("flatten", Reshape((prod(shape),)), (real.edge,), source=node)
        steps = tuple(flattened(step, prod(shape[:-1])) for step in real.steps)
        return replace(real, edge=edge, steps=steps)

    def is_input(self, real: Real) -> bool:
        """Whether a tensor is the file's input before any quantizer or statement of its integers:
        real numbers that no edge carries."""
        return real.edge == self.source.input and not real.quantized

    @property
    def works_on_images(self) -> bool:
        """Whether a node of the file convolves, pads or pools."""
        return any(node.op in _OF_IMAGES for node in self.source.nodes)

    def graph(self, name: str, output: str) -> Graph:
        """The finished graph; raises ``InputError`` when no quantizer stated the input's type."""
        if self.input_edge is None:
            raise InputError(f"{self.source.path}: the input is not quantized; add a QuantIdentity")
        return Graph(name, self.source.input, self.input_edge, tuple(self.nodes), output)


def fractions(values: Constant) -> tuple[Fraction, ...]:
    """Floats as the exact binary fractions they are; integers and Fractions as themselves."""
    return tuple(exact(values).ravel())


def exact(values: Constant) -> Constant:
    """The same array of Fractions."""
    fraction: Constant = np.empty(values.shape, dtype=object)
    for place, value in np.ndenumerate(values):
        fraction[place] = value if isinstance(value, Fraction) else Fraction(value.item())
    return fraction


def _each(
    function: Callable[..., Fraction], *columns: tuple[Fraction, ...]
) -> tuple[Fraction, ...]:
    """Apply ``function`` channel by channel; single entries serve all channels."""
    size = max(map(len, columns))
    spread = [c if len(c) == size else c * size for c in columns]
    return tuple(function(*row) for row in zip(*spread, strict=True))
