"""The plots of one campaign as one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from plotly.offline import get_plotlyjs

from flow.atomic import write_atomic
from flow.campaign import By, Share, shares, summary
from flow.campaign.prepare import read_description
from flow.campaign.upsets import UpsetsBy, upset_shares, upset_summary
from flow.campaign.upsets.show import is_upset_campaign, unit_cycle_shares
from flow.report.campaign_figures import accuracy_figure, heat_map, outcomes_figure
from flow.report.page import templates

AXES = {"rate": "rate of bit errors", "multiple": "bits struck together"}
Cells = list[tuple[str, str, Mapping[str, Any], str]]


def write_campaign_page(directory: Path, output: Path) -> None:
    """Write the plots of the finished campaign in ``directory`` to ``output``.

    Raises:
        InputError: no campaign was finished there, or a file of it is damaged.
    """
    page = _upsets(directory) if is_upset_campaign(directory) else _stored_bits(directory)
    text = templates().get_template("campaign.html.j2").render(plotly=get_plotlyjs(), **page)
    write_atomic(output, text)


def _stored_bits(directory: Path) -> dict[str, Any]:
    record = summary(directory)
    layers = _records(shares(directory, By.LAYER))
    bits = shares(directory, By.BIT)
    levels = record["by_level"]
    model = read_description(directory).get("fault_model", "single")
    figures = []
    if len(levels) > 1:
        axis = AXES.get(model, "level of the fault model")
        figures.append(("Accuracy against faults", accuracy_figure(levels, axis=axis)))
    figures.append(("Outcomes by layer", outcomes_figure(layers)))
    cells = _bit_cells(bits)
    if cells:
        by_bit = [row for row in _records(bits) if " bit " in row["group"]]
        figures.append(("Outcomes by bit position", outcomes_figure(by_bit)))
        figures.append(
            (
                "Criticality: share of pairs with another class",
                heat_map(cells, across="bit of the code, 0 the lowest"),
            )
        )
    facts = {
        "fault model": model,
        "faults": f"{record['faults']:,}",
        "images": f"{record['images']:,}",
        "pairs": f"{record['pairs']:,}",
        "engines": ", ".join(record["engines"]),
        "seed": record["seed"],
        "fault list": record["fault_list_digest"][:12],
    }
    return {
        "name": record["name"],
        "facts": facts,
        "figures": figures,
        "stop": record.get("stopping"),
        "critical": record["critical_share"],
        "what": "pairs get another class",
    }


def _bit_cells(groups: Sequence[Share]) -> Cells:
    """Of every bit position of every parameter; faults of several have no place here."""
    cells: Cells = []
    for group in _records(groups):
        parameter, found, bit = group["group"].rpartition(" bit ")
        if found:
            cells.append((parameter, bit, group["critical"], f"{group['faults']:,} faults"))
    return cells


def _upsets(directory: Path) -> dict[str, Any]:
    record = upset_summary(directory)
    units = _records(upset_shares(directory, UpsetsBy.UNIT))
    cycles = _records(upset_shares(directory, UpsetsBy.CYCLE))
    cells: Cells = [
        (unit, part.removeprefix("cycles "), asdict(share.failing), f"{share.upsets:,} upsets")
        for unit, part, share in unit_cycle_shares(directory)
    ]
    facts = {"upsets": f"{sum(u['upsets'] for u in units):,}", "target": "registers"}
    return {
        "name": record["name"],
        "facts": facts,
        "figures": [
            ("Outcomes by unit", outcomes_figure(units)),
            ("Outcomes by cycle of the run", outcomes_figure(cycles)),
            ("Vulnerability (AVF): share of upsets that fail", heat_map(cells, across="cycles")),
        ],
        "stop": None,
        "critical": record["by_all"][0]["failing"],
        "what": "upsets fail: another class, no result or a broken stream",
    }


def _records(found: Sequence[Any]) -> list[dict[str, Any]]:
    return [asdict(share) for share in found]
