"""When to give up, when it is enough, and how a node's values become JSON."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from p2pswarm.cli.exits import Exit
from p2pswarm.cli.following import Goal, Patience, given_up, plain
from p2pswarm.cli.options import Download
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.swarm.events import Checking, Downloading, Paused, PeerJoined, Seeding, StateChanged
from p2pswarm.swarm.status import Status
from p2pswarm.swarm.webseeds import WebSeedStatus

STATUS = Status(
    name="x", info_hash=InfoHash(b"h" * 20), state=Downloading(), have=1, pieces=2, done=10, total=20,
    down_rate=1.0, up_rate=0.0, downloaded=10, uploaded=5, peers=0, seeds=0, availability=float("inf"),
    eta=None, wasted=0, hash_failures=0, trackers=(), path=Path("x"),
)  # fmt: skip


def test_patience_ends_after_so_long_without_a_peer() -> None:
    patience = Patience(30)
    assert not patience.lost(STATUS, 100)
    assert not patience.lost(STATUS, 129)
    assert patience.lost(STATUS, 130)


@pytest.mark.parametrize(
    "better",
    [
        replace(STATUS, downloaded=11),
        replace(STATUS, done=11),
        replace(STATUS, state=Checking(1, 2)),
        replace(STATUS, state=Paused("full")),
    ],
)
def test_bytes_or_progress_or_another_state_renew_patience(better: Status) -> None:
    patience = Patience(30)
    assert not patience.lost(STATUS, 100)
    assert not patience.lost(better, 129)
    alone = replace(better, state=Downloading())
    assert not patience.lost(alone, 158)
    assert patience.lost(alone, 159)


def test_peers_that_do_not_help_are_no_reason_to_wait() -> None:
    patience = Patience(30)
    assert not patience.lost(replace(STATUS, peers=3), 100)
    assert patience.lost(replace(STATUS, peers=5), 130)


def test_a_web_seed_that_failed_is_why_nothing_came() -> None:
    seed = WebSeedStatus("http://a/", "resting", 0, 0.0, 1, 30.0, "a: no connection")
    error = given_up(replace(STATUS, web_seeds=(seed,)))
    assert (str(error), error.code) == ("no peers: a: no connection", Exit.NETWORK)
    assert str(given_up(STATUS)) == "no peers, gave up"


def test_programs_are_told_of_every_web_seed() -> None:
    seed = WebSeedStatus("http://a/", "idle", 5, 0.0, 0, None, "")
    [told] = plain(replace(STATUS, web_seeds=(seed,)))["web_seeds"]
    assert (told["url"], told["state"], told["downloaded"]) == ("http://a/", "idle", 5)


def test_patience_without_a_limit_never_ends() -> None:
    patience = Patience(None)
    assert not any(patience.lost(STATUS, now) for now in (0, 1e9))


@pytest.mark.parametrize(
    ("download", "reached"),
    [
        (Download(stay=True), [False, False, False]),
        (Download(ratio=0.5), [False, True, True]),
        (Download(ratio=0.0), [True, True, True]),
        (Download(seed_for=60.0), [False, False, True]),
    ],
)
def test_a_goal(download: Download, reached: list[bool]) -> None:
    goal = Goal(download)
    assert not goal.at_once
    asked = [(5, 100), (10, 130), (40, 160)]  # uploaded of 20 bytes, at which second
    assert [goal.reached(replace(STATUS, uploaded=up), now) for up, now in asked] == reached


def test_without_a_wish_the_end_is_at_once() -> None:
    assert Goal(Download()).at_once


def test_values_of_the_node_become_json() -> None:
    @dataclass
    class Odd:
        """Everything that JSON does not know."""

        info_hash: InfoHash
        address: Address
        path: Path
        rate: float
        states: tuple[bool, None]

    odd = Odd(InfoHash(b"\x01" * 20), Address("::1", 5), Path("a"), float("nan"), (True, None))
    assert plain(odd) == {
        "info_hash": "01" * 20, "address": "[::1]:5", "path": "a", "rate": None, "states": [True, None],
    }  # fmt: skip
    assert plain(PeerJoined(Address("10.0.0.1", 1), "x")) == {
        "address": "10.0.0.1:1",
        "client": "x",
    }


def test_a_state_is_its_name_and_what_it_knows() -> None:
    assert plain(StateChanged(Checking(1, 2))) == {
        "state": "checking",
        "state_done": 1,
        "state_total": 2,
    }
    status = plain(replace(STATUS, state=Seeding()))
    assert (status["state"], status["availability"], status["trackers"]) == ("seeding", None, [])
