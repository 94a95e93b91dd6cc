"""Super nodes in the laboratory: the product's own members, counted as the other architectures are."""

import os
from random import Random

from p2pswarm.lab.architecture import names_of, questions, scatter
from p2pswarm.lab.compare import compare
from p2pswarm.lab.lookups import lookups
from p2pswarm.lab.loop import VirtualLoop, play
from p2pswarm.lab.report import page
from p2pswarm.lab.storm import storm
from p2pswarm.lab.supernodes.architecture import Supernodes
from p2pswarm.lab.topologies import random_graph, two_tier


def value(rows: tuple[tuple[object, ...], ...], name: str) -> object:
    return next(row[1] for row in rows if row[0] == name)


def test_a_question_costs_what_the_graph_says_and_finds_all() -> None:
    async def story(loop: VirtualLoop) -> None:
        dice = Random(7)
        graph = two_tier(random_graph(8, 6, dice), 60)
        top = sum(max(edge) < graph.supers for edge in graph.edges)
        things = scatter(graph.nodes, 6, 4, dice)
        network = Supernodes(loop, graph, dice)
        await network.build(names_of(graph.nodes, things))
        for question in questions(graph.nodes, things, dice):
            outcome = await network.ask(question)
            assert outcome.recall == 1.0
            to_parent = question.origin >= graph.supers
            assert outcome.messages["hit"] > 0
            assert outcome.messages["query"] == to_parent + 2 * top - graph.supers + 1
        loads = network.loads()
        assert len(loads["super node"]) == 8
        assert max(loads["leaf"]) < min(loads["super node"])
        await network.close()

    play(story)


def test_iterative_spares_the_others_and_recursive_the_asker() -> None:
    result = lookups(peers=120, things=1, seed=3)
    whole = result.tables[0].rows
    for recursive, iterative in zip(whole[::2], whole[1::2], strict=True):
        assert (recursive[1], iterative[1]) == ("recursive", "iterative")
        assert recursive[2] == iterative[2] == "1 of 1"
        assert float(str(recursive[3])) < float(str(iterative[3]))  # messages of the asker
    assert result == lookups(peers=120, things=1, seed=3)
    page(result)  # 0.2 % of so few are one, too


def test_the_bounds_hold_in_a_storm_and_everything_is_found_afterwards() -> None:
    (table,) = storm(nodes=440, queries=10, seed=2).tables
    assert value(table.rows, "nodes before the storm") == 40
    assert value(table.rows, "nodes after it") == 440
    assert value(table.rows, "without a parent in the end") == 0
    assert value(table.rows, "files found afterwards") == "10 of 10"
    assert int(str(value(table.rows, "most children of one, ever"))) <= 150
    assert int(str(value(table.rows, "most links of one, ever"))) <= 50
    assert 3 <= int(str(value(table.rows, "super nodes after it"))) <= 12


def test_the_bounds_hold_when_many_come() -> None:
    """One tenth is there, the others come within a minute. `scripts/test-storm` has five thousand come."""
    nodes = int(os.environ.get("STORM_NODES", "1000"))
    (table,) = storm(nodes=nodes, queries=20).tables
    assert value(table.rows, "without a parent in the end") == 0
    assert value(table.rows, "files found afterwards") == "20 of 20"
    assert int(str(value(table.rows, "most children of one, ever"))) <= 150
    assert int(str(value(table.rows, "most links of one, ever"))) <= 50
    assert nodes / 150 <= int(str(value(table.rows, "super nodes after it"))) <= nodes / 36
    assert float(str(value(table.rows, "95 of 100"))) <= 60
    assert float(str(value(table.rows, "the slowest"))) <= 180


def test_super_nodes_and_the_central_index_are_compared_with_the_others() -> None:
    from p2pswarm.lab.compare import ALL

    result = compare((ALL[-3], ALL[-1]), "random", things=2, nodes=303, seed=1)
    supers, central = result.tables[0].rows
    assert supers[0] == "3 super nodes, 2 links, flood TTL 7"
    assert central[0] == "central index"
    assert supers[5] == central[5] == 1.0  # recall
