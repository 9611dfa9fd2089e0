"""A page for one run of `bitproof certify`: certified images against the perturbation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from flow.atomic import write_atomic
from flow.errors import InputError
from flow.report.figures import PROVED, REFUTED

Record = Mapping[str, Any]
AXES = {"radii": "radius", "by_flips": "flips"}  # rows of a record, and what its rows vary


def write_curve(record: Record, path: Path) -> None:
    """Write the page: shares of images certified, and of images that withstand every attack tried.

    Raises:
        InputError: the record has no rows that vary a radius or a number of flips.
    """
    kind = next((name for name in AXES if name in record), None)
    if kind is None:
        raise InputError(
            f"--plot {path}: property {record['property']} at one strength only; nothing to draw"
        )
    axis, rows, images = AXES[kind], record[kind], record["images"]
    strengths = [row[axis] for row in rows]
    certified = [row.get("proved", row.get("certified")) for row in rows]
    curves = [("certified", certified, PROVED)]
    if all("refuted" in row or "attacked" in row for row in rows):
        withstood = [images - _broken(record, row) for row in rows]
        curves.append(("withstand every attack tried", withstood, REFUTED))
    figure = go.Figure()
    for name, counts, colour in curves:
        shares = [100 * count / images for count in counts]
        figure.add_scatter(
            x=strengths, y=shares, name=name, mode="lines+markers", line={"color": colour}
        )
    title = f"{record['graph']}, {record['data']}, {images} images: {record['method']}"
    figure.update_layout(
        template="plotly_white",
        title={"text": title, "font": {"size": 14}},
        xaxis={"title": axis, "dtick": 1 if len(rows) < 20 else None},
        yaxis={"title": "% of test images", "range": [-2, 102]},
        legend={"orientation": "h", "y": 1.08},
        font={"family": "system-ui, sans-serif"},
    )
    write_atomic(path, figure.to_html(include_plotlyjs=True, config={"displaylogo": False}))


def _broken(record: Record, row: Record) -> int:
    """Images that are wrong without or within this strength."""
    wrong: int = row.get("misclassified", record.get("misclassified"))
    refuted: int = row.get("refuted", row.get("attacked"))
    return wrong + refuted
