"""Topologies by name: of the right size, in one piece, and any number of nodes that the command allows."""

from random import Random

import pytest

from p2pswarm.errors import FormatError
from p2pswarm.lab.graphs import NAMES, named


@pytest.mark.parametrize("name", NAMES[2:])
@pytest.mark.parametrize("nodes", [500, 501, 999])
def test_a_graph_that_is_made_has_so_many_nodes_in_one_piece(name: str, nodes: int) -> None:
    graph = named(name, nodes, Random(1))
    assert graph.nodes == nodes
    assert len(graph.distances(0)) == nodes


def test_the_shapes_are_those_of_the_comparison() -> None:
    supers = named("supernodes", None, Random(1))
    assert (supers.nodes, supers.supers) == (6301, 62)
    assert {len(supers.neighbours[node]) for node in range(62)} <= {40 + 100, 40 + 101}
    ultrapeers = named("two-tier", None, Random(1))
    assert (ultrapeers.nodes, ultrapeers.supers) == (6301, 197)
    assert {len(ultrapeers.neighbours[leaf]) for leaf in range(197, 6301)} == {1}


def test_anything_else_is_a_file() -> None:
    with pytest.raises(FileNotFoundError):
        named("nosuch", None, Random(1))
    with pytest.raises(FormatError):
        named(__file__, None, Random(1))
