from math import inf

import pytest
from hypothesis import given, strategies as st

from p2pswarm.overlay.gnutella.links.agreement import MAX_TTL
from p2pswarm.overlay.gnutella.routing.dynamic import (
    HORIZON,
    LEAF_ANSWERS,
    LIFETIME,
    STOP,
    Candidate,
    DynamicQuery,
    Probe,
    hosts,
)

Query = DynamicQuery[int]


def neighbours(n: int, **what: object) -> list[Candidate[int]]:
    return [Candidate(link, **what) for link in range(n)]  # type: ignore[arg-type]


def run(
    query: Query, candidates: list[Candidate[int]], now: float = 0.0
) -> list[tuple[float, Probe[int]]]:
    """All that is sent when nothing comes back, with times."""
    sent = [(now, probe) for probe in query.begin(candidates, now)]
    while not query.done:
        now = query.due
        probe = query.step(now, candidates)
        query.check()
        if probe is not None:
            sent.append((now, probe))
    return sent


@pytest.mark.parametrize(
    ("degree", "ttl", "reached"),
    [
        *((32, 1, 1), (32, 2, 32), (32, 3, 993), (32, 4, 30784), (6, 7, 19531)),
        *((1, 4, 4), (0, 3, 3), (2, 3, 3), (10**9, 2, 200)),
    ],
)
def test_the_theoretical_horizon(degree: int, ttl: int, reached: int) -> None:
    assert hosts(degree, ttl) == reached


def test_a_probe_goes_with_ttl_1_to_a_few_who_match_and_can_be_asked_again() -> None:
    candidates = [
        Candidate(1, matches=False, extends=True),
        Candidate(2, matches=True),
        *(Candidate(link, matches=True, extends=True) for link in (3, 4, 5, 6)),
    ]
    query = Query()
    assert query.begin(candidates, 100.0) == [Probe(3, 1), Probe(4, 1), Probe(5, 1)]
    assert query.horizon == 3
    assert query.due == pytest.approx(102.4)
    assert query.step(102.3, candidates) is None


def test_without_tables_a_probe_goes_with_ttl_2() -> None:
    query = Query()
    assert query.begin(neighbours(30, extends=True), 0.0) == [Probe(n, 2) for n in range(3)]
    assert query.due == pytest.approx(4.8)
    assert query.horizon == 96


def test_who_cannot_be_asked_again_is_not_spent_on_a_probe_when_there_are_few() -> None:
    assert len(Query().begin(neighbours(30), 0.0)) == 3
    assert len(Query().begin(neighbours(12), 0.0)) == 1
    query = Query()
    assert query.begin(neighbours(3), 0.0) == []
    assert query.due == 0.0
    assert query.step(0.0, neighbours(3)) == Probe(0, 4)


def test_the_next_ttl_is_the_smallest_that_reaches_what_is_needed() -> None:
    candidates = neighbours(30, extends=True)
    for results, ttl in ((40, 1), (24, 2), (1, 3), (0, 3)):
        query = Query(50)
        query.begin(candidates, 0.0)  # 96 hosts
        query.add_results(results)
        probe = query.step(4.8, candidates)
        # hosts needed: (50 - r) * 96 / r over 30 links: 0.8, 3.5, 157, and as if one of 100 had one: 167
        assert probe == Probe(3, ttl)
        assert query.due == pytest.approx(4.8 + 2.4 * ttl)


def test_a_ttl_that_reaches_exactly_enough_is_enough() -> None:
    candidates = neighbours(30, extends=True)
    query = Query(110)
    query.begin(candidates, 0.0)
    query.add_results(10)  # 100 more at 10 of 96 hosts: 960 hosts, 32 of each of 30 links
    assert query.step(query.due, candidates) == Probe(3, 2)


def test_a_neighbour_is_never_asked_farther_than_it_wants() -> None:
    candidates = neighbours(3, max_ttl=2)
    assert {probe.ttl for _, probe in run(Query(), candidates)} == {2}
    assert {probe.ttl for _, probe in run(Query(), neighbours(3, max_ttl=200))} == {4}
    assert {probe.ttl for _, probe in run(Query(), neighbours(3, max_ttl=0))} == {1}


def test_the_last_hop_is_only_asked_when_its_table_has_the_words() -> None:
    candidates = [Candidate(1, max_ttl=1, matches=False), Candidate(2, max_ttl=1, matches=True)]
    assert [probe for _, probe in run(Query(), candidates)] == [Probe(2, 1)]
    query = Query()
    far = [Candidate(n, matches=False) for n in range(30)]
    query.begin(far, 0.0)
    query.add_results(49)
    probe = query.step(query.due, far)
    assert probe is not None
    assert probe.ttl == 2


def test_who_was_probed_is_asked_again_last_and_farther() -> None:
    candidates = [
        Candidate(1, matches=True, extends=True),
        Candidate(2, matches=True, extends=False),
        Candidate(3, extends=False),
    ]
    sent = [probe for _, probe in run(Query(), candidates)]
    assert sent[0] == Probe(1, 1)
    assert [probe.link for probe in sent] == [1, 2, 3, 1]
    assert sent[3].ttl > 1


def test_enough_results_end_it() -> None:
    query = Query(50)
    query.begin(neighbours(30), 0.0)
    query.add_results(49)
    assert not query.done
    query.add_results(1)
    assert query.ended == "results"
    assert query.due == inf
    assert query.step(1000.0, neighbours(30)) is None
    assert repr(query) == "<DynamicQuery 50/50 of 96 hosts, results>"


def test_no_links_end_it() -> None:
    query = Query(150)
    assert query.begin([], 0.0) == []
    assert query.step(0.0, []) is None
    assert query.ended == "no links left"


def test_the_horizon_ends_it() -> None:
    query = Query()
    candidates = neighbours(150, degree=200, extends=True)
    run(query, candidates)
    assert query.ended in ("horizon", "lifetime")
    assert query.horizon <= HORIZON
    full = Query()
    full.begin(candidates, 0.0)
    full.horizon = HORIZON
    assert full.step(full.due, candidates) is None
    assert full.ended == "horizon"
    nearly = Query()
    nearly.begin(candidates, 0.0)
    nearly.horizon = HORIZON - 1
    assert nearly.step(nearly.due, candidates) == Probe(3, 1)
    assert nearly.step(nearly.due, candidates) is None
    assert nearly.ended == "horizon"


def test_three_minutes_end_it() -> None:
    query = Query()
    candidates = neighbours(200, degree=2)
    query.begin(candidates, 0.0)
    assert query.step(LIFETIME, candidates) is None
    assert query.ended == "lifetime"
    times = [now for now, _ in run(Query(), candidates)]
    assert max(times) < LIFETIME


def test_the_wait_shrinks_while_the_content_is_known_to_be_rare() -> None:
    query = Query()
    candidates = neighbours(40, degree=32)
    query.begin(candidates, 0.0)
    waits: list[float] = []
    while not query.done:
        now = query.due
        probe = query.step(now, candidates)
        if probe is not None:
            waits.append(round((query.due - now) / probe.ttl, 3))
    rare = waits.index(2.3)
    assert waits[:rare] == [2.4] * rare
    assert waits[rare : rare + 5] == [2.3, 2.2, 2.1, 2.0, 1.9]
    assert min(waits) >= 1.4


def test_a_leaf_that_filters_guides_its_query() -> None:
    candidates = neighbours(30, extends=True)
    query = Query(50, guided=True)
    query.begin(candidates, 0.0)
    assert not query.asks_leaf(4.8)  # no hits, nothing to ask
    query.add_results(500)
    assert not query.done
    assert not query.asks_leaf(4.0)
    assert query.asks_leaf(4.8)
    assert not query.asks_leaf(4.9)
    assert query.step(5.0, candidates) is None
    query.leaf_says(2, 6.0)
    assert query.results == 2
    assert query.due == 6.0
    assert query.step(6.0, candidates) == Probe(3, 3)
    query.leaf_says(50, 7.0)  # unasked
    assert query.ended == "results"


def test_a_leaf_may_end_its_query() -> None:
    for guided in (True, False):
        query = Query(50, guided=guided)
        query.begin(neighbours(30), 0.0)
        query.leaf_says(STOP, 1.0)
        assert query.ended == "the leaf has enough"
        query.leaf_says(STOP, 1.0)


def test_a_query_that_ended_is_not_woken_by_a_leaf() -> None:
    query = Query(50, guided=True)
    query.begin(neighbours(30), 0.0)
    query.add_results(5)
    assert query.asks_leaf(4.8)
    query.leaf_says(STOP, 5.0)
    query.leaf_says(3, 6.0)
    assert query.due == inf
    assert not query.asks_leaf(7.0)


def test_what_a_leaf_says_that_did_not_offer_it_is_not_listened_to() -> None:
    query = Query(50)
    query.begin(neighbours(30), 0.0)
    query.leaf_says(50, 1.0)
    assert not query.done


def test_a_leaf_that_does_not_answer_loses_its_say() -> None:
    candidates = neighbours(30, extends=True)
    query = Query(50, guided=True)
    query.begin(candidates, 0.0)
    query.add_results(20)
    assert query.asks_leaf(4.8)
    assert query.due == pytest.approx(4.8 + LEAF_ANSWERS)
    assert query.step(4.8 + LEAF_ANSWERS, candidates) is not None
    assert query.results == 20
    query.add_results(30)
    assert query.ended == "results"


def test_a_leaf_that_got_enough_and_says_nothing_gets_no_more() -> None:
    query = Query(50, guided=True)
    query.begin(neighbours(30), 0.0)
    query.add_results(60)
    assert query.asks_leaf(4.8)
    assert query.step(15.0, neighbours(30)) is None
    assert query.ended == "results"


a_candidate = st.builds(
    Candidate,
    link=st.integers(0, 40),
    degree=st.integers(-5, 10**6),
    max_ttl=st.integers(-1, 255),
    matches=st.sampled_from([None, True, False]),
    extends=st.booleans(),
)


@given(
    st.lists(a_candidate, max_size=40, unique_by=lambda each: each.link),
    st.lists(st.integers(0, 30), max_size=300),
    st.integers(1, 150),
    st.booleans(),
)
def test_every_query_ends_and_keeps_its_promises(
    candidates: list[Candidate[int]], results: list[int], wanted: int, guided: bool
) -> None:
    query = Query(wanted, guided=guided)
    by_link = {each.link: each for each in candidates}
    probes = query.begin(candidates, 0.0)
    assert len(probes) <= 3
    sent: dict[int, int] = {}
    steps = 0
    now = 0.0
    while True:
        for probe in probes:
            each = by_link[probe.link]
            assert 1 <= probe.ttl <= max(1, min(MAX_TTL, each.max_ttl))
            assert probe.ttl > sent.get(probe.link, 0)
            assert probe.link not in sent or each.extends
            assert probe.ttl > 1 or each.matches is not False
            sent[probe.link] = probe.ttl
        query.check()
        if query.done:
            break
        query.add_results(results[steps] if steps < len(results) else 0)
        steps += 1
        assert query.due >= now
        probes = []
        if query.done:
            continue
        now = query.due
        if query.asks_leaf(now):
            if steps % 2:
                query.leaf_says(steps, now + 1)
            now = min(query.due, now + LEAF_ANSWERS)
        if (probe := query.step(now, candidates)) is not None:
            probes = [probe]
        assert now <= LIFETIME + LEAF_ANSWERS + 2.4 * MAX_TTL
    assert steps <= 4 * len(candidates) + 2
