"""The directory of people with its users, small enough for a test."""

from p2pswarm.lab.people.experiment import people
from p2pswarm.lab.people.trials import Bench
from p2pswarm.lab.progress import quietly
from p2pswarm.lab.results import from_json, to_json


def test_the_experiment_tells_what_the_directory_must_show() -> None:
    result = people(104, lookups=10)
    assert result.facts == {"super nodes": 4, "users": 100, "seed": 1}
    shape, costs, dying, back = result.tables
    assert dict(shape.rows)["gaps and overlaps"] == 0
    for condition, _, found, _, hops, *_ in costs.rows:
        assert found == 100, condition
        assert isinstance(hops, int)
        assert hops <= 3
    assert dict(dying.rows)["found, %"] == 100
    found = dict(back.rows)
    assert found["super nodes that died"] == 2
    assert found["without a home in the end"] == 0
    (chart,) = result.charts
    assert len(chart.lines[0].points) == 120
    assert from_json(to_json(result)) == result


def test_users_are_at_home_and_in_the_directory() -> None:
    bench = Bench(10, 60, seed=2)
    bench.build(quietly)
    for user in bench.users:
        assert 2 <= len(user.choosing.homes) <= 3
        assert user.publishing.stored_as_is
    kept = [len(server.directory.records) for server in bench.world.servers()]
    assert kept == [60] * 10


def test_a_seed_is_a_result() -> None:
    one, same = (people(52, lookups=5, seed=3) for _ in range(2))
    assert one == same
