"""The directory of people with its users, small enough for a test."""

import os

import pytest

from p2pswarm.lab.people.experiment import people
from p2pswarm.lab.people.trials import Bench
from p2pswarm.lab.progress import quietly
from p2pswarm.lab.results import from_json, to_json
from p2pswarm.overlay.people import shape
from tests.support.directories import slots

BACK = 60  # seconds after half of all super nodes died, at most


@pytest.mark.timeout(3600)
def test_the_experiment_tells_what_the_directory_must_show() -> None:
    """`scripts/test-people` has two hundred super nodes and five thousand users."""
    nodes = int(os.environ.get("PEOPLE_NODES", "104"))
    result = people(nodes, lookups=nodes // 10)
    order, costs, dying, back = (table.rows for table in result.tables)
    assert value(order, "gaps and overlaps") == 0
    assert value(order, "super nodes in a slot: most") < shape.SPLIT_AT
    for condition, lookup, found, _, hops, *_ in costs:
        assert float(str(found)) >= 99.5, (condition, lookup)
        assert int(str(hops)) <= 3 + ("lie" in str(condition)), (condition, lookup)
    assert value(dying, "found, %") >= 99.9
    assert value(back, "until all are") <= BACK
    assert value(back, "seconds until 999 of 1000 lookups find") <= BACK
    assert value(back, "without a home in the end") == 0
    (chart,) = result.charts
    assert len(chart.lines[0].points) == 120
    assert from_json(to_json(result)) == result


def value(rows: tuple[tuple[object, ...], ...], name: str) -> float:
    return next(float(str(row[1])) for row in rows if row[0] == name)


def test_users_are_at_home_and_in_the_directory() -> None:
    bench = Bench(10, 60, seed=2)
    bench.build(quietly)
    for user in bench.users:
        assert 2 <= len(user.choosing.homes) <= 3
        assert user.publishing.stored_as_is
    kept = [len(server.directory.records) for server in bench.world.servers()]
    assert kept == [60] * 10


def test_in_some_slots_everybody_is_found_and_at_home_whoever_dies() -> None:
    bench = Bench(30, 60, seed=2)
    bench.build(quietly)
    assert len(slots(bench.world)) >= 3
    assert hops(bench) == {1, 2}  # some ask their own home's slot
    bench.kill_share(0.2, 10.0)
    told = bench.lookups("as the product", 60, 10.0)
    assert told.share() == 1.0
    assert max(outcome.hops for outcome in told.found) <= 3
    before = sum(user.logins for user in bench.users)
    bench.kill_share(0.5)
    bench.world.run(BACK)
    assert all(user.choosing.homes for user in bench.users)
    assert bench.lookups("as the product", 60, 5.0).share() == 1.0
    assert sum(user.logins for user in bench.users) - before < 6 * len(bench.users)


def test_in_several_blocks_nobody_is_farther_away_than_three_hops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Slots of two or three, so that few super nodes have more of them than one block has."""
    for name, figure in {"SPLIT_AT": 4, "LEAST": 2, "MERGED": 2, "FOLLOWED": 4}.items():
        monkeypatch.setattr(shape, name, figure)
    bench = Bench(28, 30, seed=1)
    bench.build(quietly)
    assert len(slots(bench.world)) > 8
    assert hops(bench) == {1, 2, 3}


def hops(bench: Bench) -> set[int]:
    """Of lookups of both kinds, which all found somebody."""
    told = [bench.lookups(mode, 40, 2.0) for mode in ("iterative", "recursive")]
    assert [len(each.found) for each in told] == [40, 40]
    return {outcome.hops for each in told for outcome in each.found}


def test_a_seed_is_a_result() -> None:
    one, same = (people(52, lookups=5, seed=3) for _ in range(2))
    assert one == same
