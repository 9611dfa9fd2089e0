"""The plots show the tables, and any other question has its answer in SQL."""

import json
import re

import pytest

from flow.campaign import By, Multiple, query, run_campaign, shares
from flow.errors import InputError
from flow.report.campaign_page import write_campaign_page
from tests.campaign.campaigns import four_bit_network, labelled, model_recipe


@pytest.fixture(scope="module")
def campaigns(tmp_path_factory):
    """Finished ones: of single bits, and of several bits at two levels."""
    folder = tmp_path_factory.mktemp("plot")
    graph = four_bit_network((6, 5, 4), signs=True)
    data = labelled(graph, 12)
    for name, faults in (("single", 60), ("levels", Multiple(count=20, flips=(1, 8)))):
        recipe = model_recipe(graph, folder, faults=faults)
        run_campaign(recipe, data, out=folder / name, cache=folder)
    return folder


def figures(page):
    """Data and layout of every plot, as plotly reads them."""
    found = []
    decoder = json.JSONDecoder()
    for start in re.finditer(r"Plotly\.newPlot\(\s*\"[^\"]+\",\s*", page):
        data, end = decoder.raw_decode(page, start.end())
        layout, _ = decoder.raw_decode(page, re.compile(r"\s*,\s*").match(page, end).end())
        found.append((data, layout))
    return found


def page_of(campaigns, name):
    write_campaign_page(campaigns / name, campaigns / f"{name}.html")
    return (campaigns / f"{name}.html").read_text()


def titles(page):
    return re.findall(r"<h2>(.*)</h2>", page)


def test_a_heat_map_has_the_estimate_of_every_bit_position_and_blanks_elsewhere(campaigns):
    page = page_of(campaigns, "single")
    assert titles(page) == [
        "Outcomes by layer",
        "Outcomes by bit position",
        "Criticality: share of pairs with another class",
    ]
    (heat,), _ = figures(page)[-1]
    groups = shares(campaigns / "single", By.BIT)
    wanted = {share.group: 100 * share.critical.value for share in groups}
    seen = {
        f"{row} bit {column}": value
        for row, values in zip(heat["y"], heat["z"], strict=True)
        for column, value in zip(heat["x"], values, strict=True)
        if value is not None
    }
    assert seen == wanted
    assert any(value is None for row in heat["z"] for value in row)  # signs have one bit
    assert max(wanted.values()) > 0


def test_bars_are_the_shares_of_outcomes_by_layer(campaigns):
    bars, layout = figures(page_of(campaigns, "single"))[0]
    groups = shares(campaigns / "single", By.LAYER)
    assert layout["barmode"] == "stack"
    for bar in bars:
        assert bar["x"] == [group.group for group in groups]
        assert bar["customdata"] == [group.outcomes[bar["name"]] for group in groups]
        pairs = [group.pairs for group in groups]
        assert bar["y"] == [100 * n / p for n, p in zip(bar["customdata"], pairs, strict=True)]
    assert {bar["name"] for bar in bars} == {"masked", "tolerable", "critical"}


def test_accuracy_is_drawn_against_the_bits_struck_together(campaigns):
    page = page_of(campaigns, "levels")
    assert titles(page)[0] == "Accuracy against faults"
    (struck, clean), layout = figures(page)[0]
    levels = shares(campaigns / "levels", By.LEVEL)
    assert layout["xaxis"]["title"]["text"] == "bits struck together"
    assert struck["x"] == [1, 8]
    # DuckDB adds up in no fixed order
    assert struck["y"] == pytest.approx([100 * level.accuracy.value for level in levels])
    assert clean["y"] == pytest.approx([100 * levels[0].clean_accuracy] * 2)
    ends = [v + e for v, e in zip(struck["y"], struck["error_y"]["array"], strict=True)]
    assert ends == pytest.approx([100 * level.accuracy.hi for level in levels])


def test_the_page_needs_no_network(campaigns):
    page = page_of(campaigns, "single")
    outside = re.sub(r"<script>.*?</script>", "", page, count=1, flags=re.DOTALL)
    assert not re.search(r"(src|href)=\"http", outside)


def test_the_command_line_plots_and_asks(campaigns, bitproof, tmp_path):
    single = campaigns / "single"
    status, out, err = bitproof("campaign", "show", single, "--plot", tmp_path / "p.html", "--json")
    assert (status, json.loads(out)["faults"]) == (0, 88)
    assert "p.html" in err
    assert "Criticality" in (tmp_path / "p.html").read_text()
    status, _, err = bitproof("campaign", "show", single, "--plot", tmp_path / "p.png")
    assert status == 2
    assert "the plots are a web page; name it .html" in err
    sql = "SELECT count(*) AS pairs FROM results"
    _, out, _ = bitproof("campaign", "query", single, sql, "--json")
    assert json.loads(out)["rows"] == [{"pairs": 440}]
    _, out, _ = bitproof("campaign", "query", single, sql)
    assert "440" in out


def test_the_views_join_pairs_with_what_was_struck(campaigns):
    rows = query(
        campaigns / "single",
        """SELECT node, parameter, bit, sum((outcome = 'critical')::int)::int AS critical
           FROM results JOIN faults USING (fault) GROUP BY ALL ORDER BY critical DESC""",
    )
    counted = {f"{r['node']}.{r['parameter']} bit {r['bit']:02d}": r["critical"] for r in rows}
    wanted = {s.group: s.outcomes["critical"] for s in shares(campaigns / "single", By.BIT)}
    assert counted == wanted
    (struck,) = query(campaigns / "levels", "SELECT count(*) AS n FROM bits")
    assert struck["n"] == 20 * (1 + 8)


def test_a_question_that_is_no_sql_is_refused_in_one_line(campaigns):
    with pytest.raises(InputError, match=r"query: Parser Error: .*; docs/campaign.md lists") as bad:
        query(campaigns / "single", "SELEKT 1")
    assert "\n" not in str(bad.value)
    with pytest.raises(InputError, match="nothing does not exist"):
        query(campaigns / "single", "SELECT * FROM nothing")


def test_a_folder_without_a_campaign_has_no_plots(tmp_path):
    with pytest.raises(InputError, match="no finished campaign"):
        write_campaign_page(tmp_path, tmp_path / "p.html")
    assert not (tmp_path / "p.html").exists()
