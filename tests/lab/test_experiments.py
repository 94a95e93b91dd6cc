"""Experiments on graphs small enough for a test: what their tables say, and that a seed is a result."""

from pathlib import Path
from random import Random

import pytest

from p2pswarm.lab.architecture import names_of, questions, scatter
from p2pswarm.lab.compare import ALL, GNUTELLA, compare, super_nodes, ultrapeers
from p2pswarm.lab.coverage import coverage
from p2pswarm.lab.results import from_json, to_json
from p2pswarm.lab.spreading import spreads
from p2pswarm.lab.topologies import random_graph


@pytest.fixture
def small(tmp_path: Path) -> str:
    graph = random_graph(120, 4, Random(3))
    path = tmp_path / "small.txt"
    path.write_text("\n".join(f"{one} {other}" for one, other in graph.edges))
    return str(path)


def test_things_lie_where_they_are_said_to_lie() -> None:
    things = scatter(50, 100, 7, Random(1))
    assert len({thing.words for thing in things}) == 100
    assert all(len(thing.holders) == 7 for thing in things)
    shelves = names_of(50, things)
    for thing in things:
        assert {peer for peer, names in enumerate(shelves) if thing.name in names} == thing.holders
    asked = questions(50, things, Random(1))
    assert [question.thing for question in asked] == list(things)
    assert not any(question.origin in question.thing.holders for question in asked)


def test_coverage(small: str) -> None:
    result = coverage([small], origins=5)
    (table,) = result.tables
    assert [row[0] for row in table.rows] == [1, 2, 3, 4, 5, 6, 7]
    assert table.rows[0][1:5] == (round(500 / 120, 2), 0, 4, 0)  # everybody has four neighbours
    assert table.rows[-1][1:5] == (100, 0, 2 * 240 - 120 + 1, 0)
    assert "361 queries" in str(result.facts[f"{small}: saturating flood"])
    assert from_json(to_json(result)) == result
    assert coverage([small], origins=5) == result
    assert len(table.columns) == 5, "there is no reference for this graph"
    assert coverage([small], origins=5, seed=2).tables != result.tables


def test_one_origin_has_no_standard_error(small: str) -> None:
    (table,) = coverage([small], origins=1).tables
    assert table.rows[0] == (1, round(500 / 120, 2), None, 4, None)


def test_compare(small: str) -> None:
    result = compare(topology=small, things=3, replication=0.05)
    costs = {row[0]: row for row in result.tables[0].rows}
    assert len(result.tables[0].rows) == len(ALL)
    assert len(costs) == len(ALL) - 2  # among so few, everybody is linked to everybody
    recall, queries = ({name: row[column] for name, row in costs.items()} for column in (5, 1))
    assert recall["flood TTL 7"] == 1
    assert queries["flood TTL 7"] == 2 * 240 - 120 + 1
    assert recall["flood TTL 1"] < recall["flood TTL 3"] <= recall["flood TTL 5"]
    assert recall["flood TTL 5 + QRP"] == recall["flood TTL 5"]
    assert queries["flood TTL 5 + QRP"] < queries["flood TTL 5"]
    assert queries["32 walkers x 64 steps"] == 32 * 64
    assert (queries["central index"], recall["central index"]) == (1, 1)
    assert {name for name, *_ in result.tables[1].rows} == set(costs)
    chart = result.charts[0]
    assert len(chart.lines) == 10, [line.label for line in chart.lines]
    assert sum(len(line.points) for line in chart.lines) == len(ALL)
    assert from_json(to_json(result)) == result
    some = GNUTELLA[2:3]
    assert compare(some, small, 3, 0.05) == compare(some, small, 3, 0.05)
    assert compare(some, small, 3, 0.05) != compare(some, small, 3, 0.05, seed=2)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("peers", [20, 40, 120, 6301])
def test_tiers_for_any_number_of_peers(peers: int, *, exact: bool) -> None:
    dice = Random(1)
    graph, supers = ultrapeers(peers, dice, exact=exact), super_nodes(peers, dice, exact=exact)
    assert graph.nodes == supers.nodes == peers
    assert 4 <= graph.supers <= 200
    assert 3 <= supers.supers <= 62


def test_of_drawn_links_fewer_are_left() -> None:
    dice = Random(1)
    assert (ultrapeers(6301, dice, exact=True).links, round(ultrapeers(6301, dice).links)) == (
        32,
        30,
    )
    assert (super_nodes(6301, dice, exact=True).links, round(super_nodes(6301, dice).links)) == (
        40,
        29,
    )


def test_spreads_show_every_message() -> None:
    flat, tiered, dynamic, supers = spreads()
    assert {node.role for node in flat.nodes} == {"peer"}
    assert [node.role for node in tiered.nodes] == ["ultrapeer"] * 12 + ["leaf"] * 96
    assert all(tiered.nodes[leaf].parent is not None for leaf in range(12, 108))
    assert {node.role for node in supers.nodes} == {"super node", "leaf"}
    for spread in (flat, tiered, dynamic, supers):
        reached = {spread.origin}
        for step in spread.steps:
            assert {source for source, _ in step} <= reached
            reached |= {node for _, node in step}
        assert spread is supers or set(spread.hits) <= reached  # parents answer for their children
        assert spread.hits
    assert len(flat.steps) == 4
    assert dynamic.nodes[dynamic.origin].role == "leaf"
    assert sum(map(len, supers.steps)) == 1 + 2 * len(supers.edges) - 12 + 1
    assert supers.steps[0] == ((supers.origin, supers.nodes[supers.origin].parent),)
    assert spreads() == (flat, tiered, dynamic, supers)
