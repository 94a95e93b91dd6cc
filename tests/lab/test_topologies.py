"""Graphs: published ones as they were published, and those made by dice."""

import gzip
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from p2pswarm.errors import FormatError
from p2pswarm.lab.topologies import Graph, drawn_graph, load, random_graph, two_tier

RING = Graph(6, ((0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (0, 5)), 6)


@pytest.mark.parametrize(
    ("name", "nodes", "edges", "flood"),
    [("p2p-Gnutella08", 6301, 20777, 35254), ("p2p-Gnutella31", 62586, 147892, 233196)],
)
def test_the_crawls_are_those_that_snap_published(
    name: str, nodes: int, edges: int, flood: int
) -> None:
    graph = load(name)
    assert (graph.nodes, len(graph.edges)) == (nodes, edges)
    whole = graph.largest()
    assert 2 * len(whole.edges) - whole.nodes + 1 == flood


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_comments_directions_twins_and_loops_are_dropped(tmp_path: Path, pack: object) -> None:
    text = b"# FromNodeId\tToNodeId\n7\t3\n3\t7\n\n7\t7\n3 12\n3\t12\n"
    assert callable(pack)
    (tmp_path / "graph").write_bytes(pack(text))
    assert load(tmp_path / "graph") == Graph(3, ((0, 1), (1, 2)), 3)


@pytest.mark.parametrize("data", [b"1 2 3\n", b"1\n", b"\x1f\x8b\x08", b"\xff\xfe 1\n"])
def test_what_is_no_list_of_edges_is_said_so(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "graph").write_bytes(data)
    with pytest.raises(FormatError, match="no list of edges"):
        load(tmp_path / "graph")


def test_distances_and_neighbours() -> None:
    assert RING.neighbours[0] == (1, 5)
    assert RING.distances(0) == {0: 0, 1: 1, 5: 1, 2: 2, 4: 2, 3: 3}


def test_the_largest_component_is_numbered_anew() -> None:
    graph = Graph(6, ((0, 1), (2, 4), (4, 5)), 6)
    assert graph.largest() == Graph(3, ((0, 1), (1, 2)), 3)
    assert sorted(map(sorted, graph.components())) == [[0, 1], [2, 4, 5], [3]]


@pytest.mark.parametrize(("nodes", "degree"), [(10, 3), (12, 4), (50, 32), (5, 4)])
def test_a_random_graph_has_equal_nodes(nodes: int, degree: int) -> None:
    graph = random_graph(nodes, degree, Random(1))
    assert len(set(graph.edges)) == nodes * degree // 2
    assert all(one < other for one, other in graph.edges)
    assert {len(each) for each in graph.neighbours} == {degree}
    assert len(graph.distances(0)) == nodes


def test_what_is_drawn_twice_is_one_link() -> None:
    graph = drawn_graph(63, 40, Random(1))
    assert len(set(graph.edges)) == len(graph.edges)
    assert 27 < 2 * len(graph.edges) / 63 < 31  # 62 (1 - (1 - 1/1953)^1260) = 29.5
    assert len(graph.distances(0)) == 63
    assert drawn_graph(3, 40, Random(1)).edges != ()
    with pytest.raises(ValueError, match="fall apart"):
        drawn_graph(50, 1, Random(1))


def test_another_seed_is_another_graph() -> None:
    assert random_graph(20, 4, Random(1)) == random_graph(20, 4, Random(1))
    assert random_graph(20, 4, Random(1)) != random_graph(20, 4, Random(2))


@pytest.mark.parametrize(("nodes", "degree"), [(5, 3), (4, 4), (4, 0)])
def test_there_is_not_every_graph(nodes: int, degree: int) -> None:
    with pytest.raises(ValueError, match="neighbours each"):
        random_graph(nodes, degree, Random(1))


def test_two_tiers() -> None:
    graph = two_tier(random_graph(10, 4, Random(1)), 83)
    assert (graph.nodes, graph.supers, len(graph.edges)) == (93, 10, 20 + 83)
    degrees = [len(each) for each in graph.neighbours]
    assert Counter(degrees[:10]) == {4 + 9: 3, 4 + 8: 7}
    assert set(degrees[10:]) == {1}
    assert all(graph.neighbours[leaf][0] < 10 for leaf in range(10, 93))


def test_some_nodes_are_left() -> None:
    left = two_tier(random_graph(4, 2, Random(1)), 4).only([0, 2, 5, 4])
    assert left.nodes == 4
    assert left.supers == 2
    assert (0, 3) in left.edges
