"""A tracker that is asked for two swarms is shown once."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from p2pswarm.discovery.standings import standings
from p2pswarm.discovery.trackers import TrackerStatus

WORKS = TrackerStatus("http://a/", 0, "working", 3, 4, 5, 60.0, 0, "")
FAILS = TrackerStatus("http://a/", 0, "failed", None, None, None, 5.0, 2, "not registered")
UNASKED = TrackerStatus("http://b/", 1, "not contacted", None, None, None, None, 0, "")


def swarm(*rows: TrackerStatus) -> Any:
    return SimpleNamespace(status=lambda: rows)


def test_one_swarm_is_told_as_it_is() -> None:
    assert standings([swarm(WORKS, UNASKED)]) == (WORKS, UNASKED)


@pytest.mark.parametrize("rows", [(WORKS, FAILS), (FAILS, WORKS)])
def test_a_tracker_that_knows_one_of_two_works(rows: tuple[TrackerStatus, TrackerStatus]) -> None:
    one, other = rows
    told = standings([swarm(one, UNASKED), swarm(other, UNASKED)])
    assert told == (replace(WORKS, next_announce=5.0), UNASKED)


def test_peers_of_both_swarms_are_not_counted_twice() -> None:
    more = replace(WORKS, seeds=9, leechers=1, peers=2)
    (told,) = standings([swarm(WORKS), swarm(more)])
    assert (told.seeds, told.leechers, told.peers) == (9, 4, 5)
