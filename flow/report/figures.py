"""Plots of the report, each a plotly figure in an HTML fragment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

Record = Mapping[str, Any]
PROVED, REFUTED, UNKNOWN, WRONG = "#2e7d5b", "#c0392b", "#d9a441", "#9aa0a6"
LINES = ("#2855a3", "#c0392b", "#2e7d5b", "#8a4fa3")


def certified_figure(networks: Sequence[tuple[str, Record]]) -> str:
    """Share of test images proved, refuted, unknown and misclassified at each input radius."""
    figure = go.Figure()
    shown = (
        ("proved", PROVED),
        ("unknown", UNKNOWN),
        ("refuted", REFUTED),
        ("misclassified", WRONG),
    )
    for key, colour in shown:
        names, radii, shares = [], [], []
        for name, record in networks:
            for row in record["radii"]:
                names.append(name)
                radii.append(f"radius {row['radius']}")
                shares.append(100 * row[key] / row["total"])
        figure.add_bar(x=[names, radii], y=shares, name=key, marker_color=colour)
    figure.update_layout(barmode="stack", yaxis_title="% of test images")
    return as_html(figure)


def attack_figure(networks: Sequence[tuple[str, Record, Record]]) -> str:
    """Test accuracy against flipped bits: the attack's seeds, and random flips beside them."""
    figure = go.Figure()
    for number, (name, attacked, random) in enumerate(networks):
        colour = LINES[number % len(LINES)]
        for record, dash, label in ((attacked, "solid", "BFA"), (random, "dot", "random")):
            for place, run in enumerate(record["runs"]):
                distances = [0, *(step["hamming_distance"] for step in run["steps"])]
                accuracies = [run["clean_accuracy"], *(step["accuracy"] for step in run["steps"])]
                figure.add_scatter(
                    x=distances,
                    y=[100 * accuracy for accuracy in accuracies],
                    mode="lines",
                    name=f"{name}, {label}",
                    legendgroup=f"{name}{label}",
                    showlegend=place == 0,
                    line={"color": colour, "dash": dash},
                )
    figure.update_layout(
        xaxis_title="stored bits that differ (Hamming distance)", yaxis_title="test accuracy, %"
    )
    return as_html(figure)


def bits_figure(rows: Sequence[Record]) -> str:
    """Exact share of pairs with another class, and with other logits, for each bit position."""
    figure = go.Figure()
    groups = [row["group"] for row in rows]
    figure.add_bar(
        x=groups,
        y=[100 * row["critical"] for row in rows],
        name="another class",
        marker_color=REFUTED,
    )
    figure.add_scatter(
        x=groups,
        y=[100 * row["changed"] for row in rows],
        name="other logits (right axis)",
        mode="markers",
        marker={"color": LINES[0], "symbol": "line-ew-open", "size": 10},
        yaxis="y2",
    )
    figure.update_layout(
        yaxis={"title": "% of pairs, class", "rangemode": "tozero"},
        yaxis2={
            "title": "% of pairs, logits",
            "overlaying": "y",
            "side": "right",
            "rangemode": "tozero",
            "showgrid": False,
        },
    )
    return as_html(figure, height=420)


def as_html(figure: go.Figure, height: int = 360) -> str:
    """The figure in the style of our pages; the page brings plotly itself."""
    figure.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": 60, "r": 20, "t": 20, "b": 60},
        legend={"orientation": "h", "y": 1.12},
        font={"family": "system-ui, sans-serif"},
    )
    text: str = figure.to_html(
        full_html=False, include_plotlyjs=False, config={"displaylogo": False}
    )
    return text
