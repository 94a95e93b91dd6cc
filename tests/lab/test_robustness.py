"""What is left when nodes leave: small graphs by hand, the published figures on the crawls."""

from random import Random

import pytest
from hypothesis import given, strategies as st

from p2pswarm.lab.robustness import SHARES, by_chance, by_degree, largest, robustness
from p2pswarm.lab.topologies import Graph, load, random_graph


def graph(nodes: int, *edges: tuple[int, int]) -> Graph:
    return Graph(nodes, edges, nodes)


STAR = graph(5, (0, 1), (0, 2), (0, 3), (0, 4))
CHAIN = graph(4, (0, 1), (1, 2), (2, 3))


def test_a_star_falls_with_its_middle_and_a_chain_in_halves() -> None:
    assert largest(STAR, by_degree(STAR), [0, 0.2]) == [1.0, 0.25]
    assert largest(STAR, [4, 3, 2, 1, 0], [0, 0.2, 0.8]) == [1.0, 1.0, 1.0]
    assert largest(CHAIN, [1, 0, 2, 3], [0.25, 0.5, 1.0]) == [2 / 3, 1.0, 0.0]


def test_the_best_connected_go_first_and_equals_as_the_graph_has_them() -> None:
    assert by_degree(CHAIN) == [1, 2, 0, 3]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    nodes = draw(st.integers(1, 12))
    pairs = [(a, b) for a in range(nodes) for b in range(a)]
    return graph(
        nodes, *draw(st.lists(st.sampled_from(pairs), unique=True) if pairs else st.just([]))
    )


@given(graphs(), st.randoms(use_true_random=False))
def test_every_point_of_a_curve_is_what_a_walk_through_the_rest_finds(
    whole: Graph, dice: Random
) -> None:
    order = by_chance(whole, dice)
    shares = [gone / whole.nodes for gone in range(whole.nodes)]
    walked = [
        max(map(len, whole.only(order[gone:]).components())) / (whole.nodes - gone)
        for gone in range(whole.nodes)
    ]
    assert largest(whole, order, shares) == walked


@pytest.mark.parametrize(
    ("name", "chance", "degree"),
    [
        (
            "p2p-Gnutella08",
            {0.3: 0.90, 0.5: 0.81, 0.7: 0.67},
            {0.05: 0.94, 0.1: 0.88, 0.2: 0.72, 0.3: 0.23, 0.4: 0.002},
        ),
        ("p2p-Gnutella31", {0.5: 0.72}, {0.1: 0.72, 0.2: 0.25, 0.3: 0.0}),
    ],
)
def test_the_published_figures(
    name: str, chance: dict[float, float], degree: dict[float, float]
) -> None:
    """OVERLAYS.md §5.3. What chance gave there was one order: it has to be among ours, give or take."""
    crawl = load(name)
    attacked = largest(crawl, by_degree(crawl), list(degree))
    assert attacked == pytest.approx(list(degree.values()), abs=0.005)
    dice = Random(1)
    runs = [largest(crawl, by_chance(crawl, dice), list(chance)) for _ in range(3)]
    for share, known, found in zip(chance, chance.values(), zip(*runs, strict=True), strict=True):
        assert sum(found) / 3 == pytest.approx(known, abs=0.02 if share < 0.6 else 0.045)


def test_the_experiment_says_the_same_twice() -> None:
    small = random_graph(20, 4, Random(1))
    one, other = (robustness("supernodes", 600, seed=3, things=1, searched=small) for _ in range(2))
    assert one == other
    assert (
        one.tables[0] != robustness("supernodes", 600, seed=4, things=1, searched=small).tables[0]
    )
    assert [row[0] for row in one.tables[0].rows][:5] == ["0%", "1%", "2%", "3%", "5%"]
    assert len(one.tables[0].rows) == 12
    chance, attacked, *recall = one.charts
    assert [chart.y for chart in recall] == ["recall"] * 2
    assert [len(chart.lines[0].points) for chart in (chance, attacked)] == [len(SHARES)] * 2
    assert attacked.lines[0].points[1][1] < 0.01, "without super nodes everybody is alone"
