"""The checks that find ways between two users, on sockets behind real routers of each kind."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations_with_replacement
from random import Random
from select import select
from socket import socket

import pytest

from p2pswarm.formats.ids import Address
from p2pswarm.reach import stun
from p2pswarm.reach.checking import Rank, Reaching, Secrets, Way
from tests.nat.prober import number, udp
from tests.nat.routers import KINDS
from tests.nat.test_lab import udp_is_direct
from tests.nat.world import Host, World, world

pytestmark = pytest.mark.nat

PAIRS = [p for p in combinations_with_replacement(KINDS, 2) if "blocked" not in p]
QUIET = 0.02  # seconds in which nothing came
LONG = 100  # such times: two seconds; where there is a way it is found in a few tenths


class Side:
    """A socket, and what decides what to send there."""

    def __init__(self, end: socket, server: socket) -> None:
        self.end, self.place = end, self._reflexive(end, server)
        self.secrets = Secrets(f"ufrag{end.fileno()}", "password" * 3)
        self.reaching: Reaching

    def _reflexive(self, end: socket, server: socket) -> Address:
        end.sendto(stun.ask(b"transaction!"), server.getsockname())
        data, place = server.recvfrom(1500)
        server.sendto(stun.answer(stun.read(data), Address(*place)), place)
        return stun.mapped(stun.read(end.recv(1500)))

    def begin(self, other: "Side", *, leads: bool, dice: Random) -> None:
        self.reaching = Reaching(self.secrets, other.secrets, leads=leads, dice=dice)
        ways: list[tuple[Way, int]] = [(other.place, Rank.REFLEXIVE)]
        host = Address(*other.end.getsockname())
        self.reaching.add([(host, Rank.HOST), *ways], time.monotonic())

    def turn(self) -> None:
        now = time.monotonic()
        out = self.reaching.tick(now)
        while select([self.end], [], [], 0)[0]:
            data, place = self.end.recvfrom(1500)
            out += self.reaching.got(stun.read(data), Address(*place), now)
        for way, message in out:
            assert isinstance(way, Address)
            self.end.sendto(message, way)

    @property
    def way(self) -> Way | None:
        return self.reaching.best.way if self.reaching.best else None


@contextmanager
def sides(one: Host, other: Host, server: Host) -> Iterator[tuple[Side, Side]]:
    with udp(one, number()) as a, udp(other, number()) as b, udp(server) as public:
        yield Side(a, public), Side(b, public)


def meet(a: Side, b: Side) -> tuple[Way | None, Way | None]:
    """How each reaches the other, once both do."""
    dice, left = Random(1), LONG
    a.begin(b, leads=True, dice=dice)
    b.begin(a, leads=False, dice=dice)
    while left and not (a.way and b.way):
        a.turn()
        b.turn()
        left -= not select([a.end, b.end], [], [], QUIET)[0]
    return a.way, b.way


@pytest.fixture(scope="module")
def lab() -> Iterator[World]:
    with world() as made:
        yield made


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_a_way_is_found_exactly_where_there_is_one(lab: World, one: str, other: str) -> None:
    first, second = lab.host(one), lab.host(other)
    with sides(first, second, lab.host()) as (a, b):
        found = [way.host for way in meet(a, b) if isinstance(way, Address)]
    assert found == ([second.public, first.public] if udp_is_direct(one, other) else [])
