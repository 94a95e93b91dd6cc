"""What is found when nodes have gone: nothing without those who carry it, all once they are replaced."""

from collections.abc import Sequence
from random import Random

from p2pswarm.lab.progress import quietly
from p2pswarm.lab.robustness import by_degree
from p2pswarm.lab.survival import survival
from p2pswarm.lab.topologies import Graph, random_graph

PEERS = 202


def the_middle_leaves(graph: Graph, _: Random) -> Sequence[int]:
    """Every second node of the upper tier, or the server."""
    first = [0] if graph.supers == 1 else list(range(0, graph.supers, 2))
    return [*first, *(node for node in range(graph.nodes) if node not in first)]


def test_recall_of_what_is_left() -> None:
    dice = Random(1)
    graph = random_graph(PEERS, 6, dice)
    (table, worst), (chart, _) = survival(
        graph,
        (
            ("half of the middle", (0.0, 1 / PEERS), the_middle_leaves),
            ("all of the middle", (0.0, 0.2), lambda graph, _: by_degree(graph)),
        ),
        4,
        dice,
        quietly,
    )
    recall = {str(name).split(" ", 1)[1]: row for name, *row in table.rows}
    assert recall == {
        "TTL 7": [1, 1],
        "walkers x 64 steps": [1, 1],
        "ultrapeers, flood TTL 3 + QRP": [1, recall["ultrapeers, flood TTL 3 + QRP"][1]],
        "super nodes": [1, recall["super nodes"][1]],
        "super nodes, healing": [1, 1],
        "index": [1, 0],
    }
    assert recall["super nodes"][1] < 1
    assert [line.label for line in chart.lines] == [row[0] for row in table.rows]
    left = {str(name).split(" ", 1)[1]: row[1] for name, *row in worst.rows}
    assert left["TTL 7"] > 0.9
    assert left["ultrapeers, flood TTL 3 + QRP"] == left["super nodes"] == left["index"] == 0
