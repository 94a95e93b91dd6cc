from random import Random

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from p2pswarm.overlay import routes as room
from p2pswarm.overlay.routes import AGE, BATCH, SETTLED, SLOT, Routes
from p2pswarm.wire.gnutella.descriptor import Kind

GUID, OTHER, SERVENT = bytes(range(16)), bytes(range(1, 17)), b"s" * 16


def guids(n: int, seed: int = 1) -> list[bytes]:
    return [Random(seed * 1_000_003 + i).randbytes(16) for i in range(n)]


def test_the_first_link_owns_a_guid_and_gets_the_replies() -> None:
    routes: Routes[str] = Routes()
    assert routes.first(GUID, Kind.QUERY, "a", 0.0)
    assert not routes.first(GUID, Kind.QUERY, "a", 1.0)
    assert not routes.first(GUID, Kind.QUERY, "forger", 1.0)
    assert routes.back(GUID, Kind.QUERY) == "a"
    assert routes.back(OTHER, Kind.QUERY) is None


def test_a_duplicate_has_the_same_kind_too() -> None:
    routes: Routes[str] = Routes()
    assert routes.first(GUID, Kind.QUERY, "a", 0.0)
    assert routes.first(GUID, Kind.PING, "b", 0.0)
    assert routes.back(GUID, Kind.PING) == "b"
    assert routes.back(GUID, Kind.QUERY) == "a"


def test_only_its_own_link_may_send_a_query_again_and_only_farther() -> None:
    routes: Routes[str] = Routes()
    assert routes.first(GUID, Kind.QUERY, "a", 0.0, ttl=1)
    assert not routes.farther(GUID, Kind.QUERY, "a", 1.0, ttl=1)
    assert not routes.farther(GUID, Kind.QUERY, "b", 1.0, ttl=3)
    assert routes.farther(GUID, Kind.QUERY, "a", 1.0, ttl=3)
    assert not routes.farther(GUID, Kind.QUERY, "a", 1.0, ttl=3)
    assert not routes.farther(OTHER, Kind.QUERY, "a", 1.0, ttl=3)
    assert routes.back(GUID, Kind.QUERY) == "a"
    routes.check()


def test_what_a_dead_link_sent_is_still_a_duplicate_but_has_no_way_back() -> None:
    routes: Routes[str] = Routes()
    routes.first(GUID, Kind.QUERY, "a", 0.0)
    routes.learn(SERVENT, "a", 0.0)
    routes.forget("a")
    routes.forget("a")
    assert not routes.first(GUID, Kind.QUERY, "b", 1.0)
    assert routes.back(GUID, Kind.QUERY) is None
    assert routes.to(SERVENT) is None
    # A link that comes back under the same name is another one.
    routes.first(OTHER, Kind.QUERY, "a", 1.0)
    assert routes.back(GUID, Kind.QUERY) is None
    routes.check()


def test_entries_end_by_age_whether_their_link_lives_or_not() -> None:
    routes: Routes[str] = Routes()
    routes.first(GUID, Kind.QUERY, "a", 0.0)
    routes.first(OTHER, Kind.QUERY, "dead", 0.0)
    routes.forget("dead")
    routes.first(b"x" * 16, Kind.QUERY, "b", AGE - SLOT)
    assert not routes.first(GUID, Kind.QUERY, "b", AGE - 1)
    routes.first(b"y" * 16, Kind.QUERY, "b", AGE + SLOT)
    assert routes.first(GUID, Kind.QUERY, "b", AGE + SLOT)
    assert routes.first(OTHER, Kind.QUERY, "b", AGE + SLOT)
    routes.check()


def test_a_flood_flushes_only_what_the_same_link_sent() -> None:
    routes: Routes[str] = Routes(most=5000)
    honest = {f"honest {n}": guids(50, n + 2) for n in range(20)}
    for link, own in honest.items():
        for guid in own:
            assert routes.first(guid, Kind.QUERY, link, 0.0)
    for at, guid in enumerate(guids(30_000)):
        assert routes.first(guid, Kind.QUERY, "flood", at / 1000)
    assert len(routes) <= 5000
    for link, own in honest.items():
        assert all(routes.back(guid, Kind.QUERY) == link for guid in own)
    routes.check()


def test_a_flood_by_links_that_come_and_go_flushes_nothing_else_either() -> None:
    routes: Routes[object] = Routes(most=2000)
    own = guids(100, 7)
    for guid in own:
        routes.first(guid, Kind.QUERY, "honest", 0.0)
    for at, guid in enumerate(guids(10_000)):
        link = object()
        routes.first(guid, Kind.QUERY, link, at / 100)
        routes.forget(link)
    assert len(routes) <= 2000
    assert all(routes.back(guid, Kind.QUERY) == "honest" for guid in own)
    routes.check()


def test_a_clock_that_jumps_forgets_nothing_for_ever_and_raises_nothing() -> None:
    routes: Routes[str] = Routes()
    routes.first(GUID, Kind.QUERY, "a", 1e9)
    assert not routes.first(GUID, Kind.QUERY, "b", 1e9 - 100)
    routes.first(OTHER, Kind.QUERY, "b", 1e9 - 4e7)
    assert routes.first(GUID, Kind.QUERY, "b", 1e9 - 4e7)
    routes.check()


def test_a_servents_route_is_the_last_hits_but_does_not_flap() -> None:
    routes: Routes[str] = Routes()
    routes.learn(SERVENT, "a", 0.0)
    routes.learn(SERVENT, "b", SETTLED / 2)
    assert routes.to(SERVENT) == "a"
    routes.learn(SERVENT, "b", SETTLED)
    assert routes.to(SERVENT) == "b"
    routes.learn(SERVENT, "a", SETTLED + 1)
    assert routes.to(SERVENT) == "b"


def test_nobody_takes_a_route_from_the_servent_itself_while_it_is_connected() -> None:
    routes: Routes[str] = Routes()
    routes.learn(SERVENT, "forger", 0.0)
    routes.learn(SERVENT, "itself", 1.0, direct=True)
    routes.learn(SERVENT, "forger", 100.0)
    assert routes.to(SERVENT) == "itself"
    routes.learn(SERVENT, "itself", 400.0)  # a hit of its own: still the servent itself
    routes.learn(SERVENT, "forger", 500.0)
    assert routes.to(SERVENT) == "itself"
    routes.learn(SERVENT, "neighbour", 600.0, direct=True)  # which has read that GUID in a hit
    assert routes.to(SERVENT) == "itself"
    routes.forget("itself")
    routes.learn(SERVENT, "elsewhere", 601.0)
    assert routes.to(SERVENT) == "elsewhere"


def test_a_route_that_is_heard_of_stays() -> None:
    routes: Routes[str] = Routes()
    for now in range(0, 3000, 100):
        routes.learn(SERVENT, "a", float(now))
        routes.learn(bytes([now // 100]) * 16, "b", float(now))
        assert routes.to(SERVENT) == "a"
        routes.check()
    assert routes.to(bytes(16)) is None


def test_ttls_that_alternate_share_two_batches() -> None:
    routes: Routes[str] = Routes()
    for n, guid in enumerate(guids(BATCH)):
        routes.first(guid, Kind.QUERY, "a", 0.0, ttl=1 + n % 2)
    assert len(routes._seen._owners["a"].batches) == 2


class Traffic(RuleBasedStateMachine):
    """Against a table that forgets nothing: what is remembered is right."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.routes: Routes[int] = Routes(most=40, servents=20)
        self.owner: dict[bytes, int] = {}
        self.dead: set[int] = set()
        self.next = 0

    links = st.integers(0, 5)
    names = st.integers(0, 60).map(lambda n: bytes([n]) * 16)

    @rule(guid=names, link=links, ttl=st.integers(0, 7))
    def query(self, guid: bytes, link: int, ttl: int) -> None:
        if self.routes.first(guid, Kind.QUERY, link, self.now, ttl):
            self.owner[guid] = link
        elif self.routes.farther(guid, Kind.QUERY, link, self.now, ttl):
            assert self.owner[guid] == link

    @rule(servent=names, link=links, direct=st.booleans())
    def hit(self, servent: bytes, link: int, direct: bool) -> None:
        before = self.routes.to(servent)
        self.routes.learn(servent, link, self.now, direct=direct)
        after = self.routes.to(servent)
        assert after is not None
        assert after in (before, link)

    @rule(seconds=st.floats(-100, 400))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(link=links)
    def end(self, link: int) -> None:
        self.routes.forget(link)
        for guid, owner in self.owner.items():
            if owner == link:
                assert self.routes.back(guid, Kind.QUERY) is None
        self.owner = {guid: owner for guid, owner in self.owner.items() if owner != link}

    @invariant()
    def right(self) -> None:
        self.routes.check()
        for guid, owner in self.owner.items():
            assert self.routes.back(guid, Kind.QUERY) in (None, owner)


TestTraffic = Traffic.TestCase
TestTraffic.settings = settings(max_examples=40, stateful_step_count=60, deadline=None)


def test_batches_are_small_enough_to_be_freed_one_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "BATCH", 10)
    routes: Routes[str] = Routes(most=100)
    for guid in guids(101):
        routes.first(guid, Kind.QUERY, "a", 0.0)
    assert len(routes) == 91
