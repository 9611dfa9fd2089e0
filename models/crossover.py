"""Where low-bit networks overtake: accuracy against attack strength, from a study's raw results.

python -m models.crossover docs/results/gorsline-mnist --plot build/gorsline.html
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from flow.atomic import write_atomic
from flow.errors import InputError

Curve = dict[int, float]  # accuracy in percent by radius in pixel levels
ATTACKS = ("fgsm", "pgd", "pgd++", "transfer", "model")


def curves(folder: Path, attack: str) -> dict[str, Curve]:
    """The mean accuracy over seeds of every row, by radius; radius 0 is no attack.

    Raises:
        InputError: no results there, or none of that attack.
    """
    cells: dict[str, list[dict[str, float]]] = {}
    for path in sorted(folder.glob("*-seed*.json")):
        record = json.loads(path.read_text())
        cells.setdefault(record["row"], []).append(record["numbers"])
    found: dict[str, Curve] = {}
    for row, numbers in cells.items():
        radii = [int(key.split()[1]) for key in numbers[0] if key.split()[0] == attack]
        found[row] = {0: mean(n["accuracy"] for n in numbers)} | {
            radius: mean(n[f"{attack} {radius}"] for n in numbers) for radius in sorted(radii)
        }
    if not found or all(len(curve) == 1 for curve in found.values()):
        raise InputError(f"{folder}: no results of {attack!r}; run the study first")
    return found


def crossover(low: Curve, high: Curve) -> float | None:
    """The radius from which ``low`` is at least as accurate as ``high``, on lines between radii;
    None where it never is, or where both guess (below 11 %) before it is."""
    radii = sorted(low.keys() & high.keys())
    leads = [low[radius] - high[radius] for radius in radii]
    if leads[0] >= 0:
        return 0.0
    for place in range(1, len(radii)):
        if max(low[radii[place]], high[radii[place]]) < 11:
            return None
        if leads[place] >= 0:
            before, after = leads[place - 1], leads[place]
            step = radii[place] - radii[place - 1]
            return radii[place - 1] + step * -before / (after - before)
    return None


def table(folder: Path) -> str:
    """For every row and attack the radius at which the row overtakes the last one, as Markdown."""
    lines = [f"| overtakes the last row at | {' | '.join(ATTACKS)} |", "|---" * 6 + "|"]
    found = {attack: curves(folder, attack) for attack in ATTACKS}
    *rows, last = found["fgsm"]
    for row in rows:
        shown = []
        for attack in ATTACKS:
            radius = crossover(found[attack][row], found[attack][last])
            shown.append("never" if radius is None else f"{radius:.1f}")
        lines.append(f"| {row} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def plot(folder: Path) -> str:
    """All curves as one HTML page; the attack is chosen in the legend."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for attack in ATTACKS:
        for row, curve in curves(folder, attack).items():
            figure.add_scatter(
                x=list(curve), y=list(curve.values()), name=f"{row}, {attack}", legendgroup=attack,
                visible=True if attack == "fgsm" else "legendonly",
            )  # fmt: skip
    figure.update_layout(xaxis_title="radius, pixel levels", yaxis_title="accuracy, %")
    text: str = figure.to_html(include_plotlyjs=True)
    return text


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, write the plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--plot", type=Path)
    asked = parser.parse_args(arguments)
    try:
        print(table(asked.folder), end="")
        if asked.plot:
            write_atomic(asked.plot, plot(asked.folder).encode())
    except InputError as error:
        print(f"models.crossover: error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
