"""Where a row overtakes the last one, from raw results."""

import json

import pytest

from flow.errors import InputError
from models.crossover import crossover, curves, main


def test_the_crossover_lies_on_the_lines_between_radii():
    high = {0: 98.0, 8: 60.0, 16: 20.0}
    assert crossover({0: 94.0, 8: 58.0, 16: 26.0}, high) == 10
    assert crossover({0: 98.0, 8: 1.0, 16: 1.0}, high) == 0
    assert crossover({0: 94.0, 8: 58.0, 16: 19.0}, high) is None
    assert crossover({0: 94.0, 8: 5.0, 16: 9.0}, {0: 98.0, 8: 6.0, 16: 5.0}) is None


def write(folder, row, seed, values, accuracy):
    numbers = {"accuracy": accuracy}
    for attack in ("fgsm", "pgd", "pgd++", "transfer", "model"):
        numbers |= {f"{attack} {radius}": value for radius, value in values.items()}
    path = folder / f"{row}-seed{seed}.json"
    path.write_text(json.dumps({"row": f"{row} bits", "numbers": numbers}))


def test_curves_are_means_over_seeds_and_the_table_is_of_all_attacks(tmp_path, capsys):
    write(tmp_path, 1, 0, {4: 50.0, 16: 40.0}, 90.0)
    write(tmp_path, 1, 1, {4: 60.0, 16: 20.0}, 92.0)
    write(tmp_path, 8, 0, {4: 57.0, 16: 22.0}, 98.0)
    assert curves(tmp_path, "pgd")["1 bits"] == {0: 91.0, 4: 55.0, 16: 30.0}
    main([str(tmp_path), "--plot", str(tmp_path / "p.html")])
    assert capsys.readouterr().out.splitlines()[2] == "| 1 bits |" + " 6.4 |" * 5
    assert "transfer" in (tmp_path / "p.html").read_text()


def test_a_folder_without_results_is_refused_in_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as left:
        main([str(tmp_path)])
    said = capsys.readouterr().err
    assert left.value.code == 2
    assert (
        said == f"models.crossover: error: {tmp_path}: no results of 'fgsm'; run the study first\n"
    )


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(InputError, match="no results of 'pgd'; run the study first"):
        curves(tmp_path, "pgd")
