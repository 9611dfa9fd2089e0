"""What every node of a build gave in RTL simulation: the words on its streams, as elements."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from flow.build import FaultSite, load_build
from flow.build.netlist import Netlist
from flow.ir import Array, Graph
from flow.schedule import INPUT, OUTPUT, Stream
from sim._session import TOP, VISIBLE, Session
from sim.runner import CompiledDesign

BENCH = "sim.bench.nodes_bench"
MODULE = "accelerator"


@dataclass(frozen=True, slots=True, eq=False)
class NodeValues:
    """Elements of one image on the output of ``node`` as far as its words came: ``values`` has the
    first of them in raster order; a node that stopped early has fewer than its edge."""

    node: str
    values: Array


def simulate_nodes(
    directory: Path, x: Array, sites: Sequence[FaultSite], *, cache: Path
) -> tuple[NodeValues, ...]:
    """Run the one image ``x``, (1, *input shape), with the bits of ``sites`` flipped, and record
    every word that a unit hands on, in the order of the network.

    The node that gives class and logits has no stream of its own inside and is not among them.

    Raises:
        InputError: the directory is damaged, or the image does not fit.
        ClaimError: a deposit did not take or was not restored.
    """
    session = NodeSession(load_build(directory), x, cache, "verilator")
    streams = node_streams(session.net, session.graph)
    with tempfile.TemporaryDirectory(prefix="nodes.") as name:
        work = Path(name)
        signals = {node: [stream.name, data_signal(stream)] for node, stream in streams.items()}
        job = session.job() | {"deposits": session.deposits(sites), "streams": signals}
        session.simulate(job, BENCH, work=work)
        session.summary(work)
        words = json.loads((work / "streams.json").read_text())
    return tuple(
        NodeValues(node, decode_words(words[node], stream, session.graph))
        for node, stream in streams.items()
    )


class NodeSession(Session):
    """A session whose bench sees every stream of the accelerator."""

    @cached_property
    def _compiled(self) -> CompiledDesign:
        """As of any session, with the handshakes and data between units in sight."""
        names = [
            signal
            for stream in node_streams(self.net, self.graph).values()
            for signal in (f"{stream.name}_valid", f"{stream.name}_ready", data_signal(stream))
        ]
        public = {**VISIBLE, TOP: (*VISIBLE[TOP], "clk"), MODULE: tuple(dict.fromkeys(names))}
        return self._design(public, fast=False)


def node_streams(net: Netlist, graph: Graph) -> dict[str, Stream]:
    """By node, the stream that carries exactly its output, in the order of the network.

    What windows, paddings and forks pass on is not looked at: the unit before them shows it.
    """
    maker = {node.output: node.name for node in graph.nodes}
    found: dict[str, Stream] = {}
    for unit in net.units:
        for stream in unit.sinks:
            whole = stream.name not in (INPUT, OUTPUT) and stream.edge in maker
            if whole and stream.shape == graph.edge(stream.edge).shape:
                found.setdefault(maker[stream.edge], stream)
    return {node.name: found[node.name] for node in graph.nodes if node.name in found}


def data_signal(stream: Stream) -> str:
    """The signal with the words of ``stream``; branches of a fork share one."""
    return f"{stream.shared or stream.name}_data"


def decode_words(words: Sequence[str], stream: Stream, graph: Graph) -> Array:
    """Words in hexadecimal to the elements they carry, (elements,): lane 0 in the low bits."""
    kind = graph.type_of(stream.edge)
    mask = (1 << stream.element_bits) - 1
    codes = [
        int(word, 16) >> (lane * stream.element_bits) & mask
        for word in words
        for lane in range(stream.lanes)
    ]
    return kind.decode(np.array(codes, dtype=np.int64))
