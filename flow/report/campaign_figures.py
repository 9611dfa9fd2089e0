"""Plots of one campaign, each a plotly figure in an HTML fragment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from flow.report.figures import LINES, PROVED, REFUTED, UNKNOWN, WRONG, as_html

Record = Mapping[str, Any]
COLOURS = {
    "masked": PROVED,
    "tolerable": UNKNOWN,
    "critical": REFUTED,
    "detected": LINES[0],
    "corrected": LINES[3],
    "hang": "#3b3f4a",
    "protocol_error": WRONG,
}
ROW = 26  # pixels of a row of a heat map


def accuracy_figure(levels: Sequence[Record], *, axis: str) -> str:
    """Accuracy with its interval at every level of the fault model (bits struck, or a rate)."""
    x = [float(row["group"]) for row in levels]
    share = [row["accuracy"] for row in levels]
    figure = go.Figure()
    figure.add_scatter(
        x=x,
        y=[100 * s["value"] for s in share],
        error_y={
            "array": [100 * (s["hi"] - s["value"]) for s in share],
            "arrayminus": [100 * (s["value"] - s["lo"]) for s in share],
        },
        mode="lines+markers",
        name="with faults",
        line={"color": REFUTED},
    )
    clean = [100 * levels[0]["clean_accuracy"]] * 2
    figure.add_scatter(
        x=[min(x), max(x)], y=clean, mode="lines", name="without", line={"color": PROVED}
    )
    figure.update_layout(xaxis_title=axis, yaxis_title="accuracy, %")
    return as_html(figure)


def outcomes_figure(groups: Sequence[Record]) -> str:
    """What became of the pairs (or upsets) of each group, in percent of those tried."""
    figure = go.Figure()
    names = [group["group"] for group in groups]
    for outcome, colour in COLOURS.items():
        counts = [group["outcomes"].get(outcome, 0) for group in groups]
        if not any(counts):
            continue
        totals = [sum(group["outcomes"].values()) for group in groups]
        figure.add_bar(
            x=names,
            y=[100 * count / total for count, total in zip(counts, totals, strict=True)],
            customdata=counts,
            name=outcome.replace("_", " "),
            marker_color=colour,
            hovertemplate="%{x}: %{y:.3f} % (%{customdata:,})",
        )
    figure.update_layout(barmode="stack", yaxis_title="% of those tried")
    return as_html(figure, height=420)


def heat_map(cells: Sequence[tuple[str, str, Record, str]], *, across: str) -> str:
    """Estimated shares as colours: of each (row, column) the estimate and what stands for it.

    A cell that does not exist is left blank, and one that was never critical is not.
    """
    rows = list(dict.fromkeys(row for row, _, _, _ in cells))
    columns = sorted({column for _, column, _, _ in cells})
    found = {(row, column): (share, note) for row, column, share, note in cells}
    values: list[list[float | None]] = []
    notes: list[list[str]] = []
    for row in rows:
        here = [found.get((row, column)) for column in columns]
        values.append([None if cell is None else 100 * cell[0]["value"] for cell in here])
        notes.append(["" if cell is None else _interval(*cell) for cell in here])
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=columns,
            y=rows,
            text=notes,
            colorscale="YlOrRd",
            zmin=0,
            xgap=2,
            ygap=2,
            colorbar={"title": "%"},
            hovertemplate="%{y}, %{x}<br>%{text}<extra></extra>",
        )
    )
    figure.update_layout(
        xaxis={"title": across, "type": "category"}, yaxis={"autorange": "reversed"}
    )
    return as_html(figure, height=150 + ROW * len(rows))


def _interval(share: Record, note: str) -> str:
    value, low, high = (100 * share[key] for key in ("value", "lo", "hi"))
    return f"{value:.3f} % ({low:.3f} to {high:.3f}), {note}"
