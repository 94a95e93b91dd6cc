"""Two who know each other's offers reach each other on real sockets behind real routers, or find no way."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import product
from threading import Barrier

import pytest

from p2pswarm.errors import NetworkError
from p2pswarm.formats.ids import Address
from p2pswarm.reach.offers import Nat, Offer, new_session
from p2pswarm.reach.paths import Path
from p2pswarm.reach.reach import Reach
from tests.nat.places import Place, Reacher, SuperNode, places
from tests.nat.routers import KINDS
from tests.nat.test_lab import udp_is_direct
from tests.nat.world import World, world
from tests.reach.worlds import Lines, Talk
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.nat

NAT = dict(
    zip(
        KINDS,
        [Nat.NONE, Nat.FULL_CONE, Nat.ADDRESS, Nat.PORT, Nat.SYMMETRIC, Nat.BLOCKED],
        strict=True,
    )
)
LONG = 8.0  # seconds in which a path is looked for where there is none
Users = dict[str, Reacher]


class Village:
    """Super nodes, and two users of each kind: who calls, and who is called."""

    def __init__(self, opened: list[SuperNode], lab: World) -> None:
        self._opened, self._lab, self._supers = opened, lab, list[Address]()
        for number in range(3):
            self._open(SuperNode(Place(lab.host()), 100 + number, self._supers))
        self.callers, self.callees = self._users(1), self._users(11)
        everybody = [*self.callers.values(), *self.callees.values()]
        with ThreadPoolExecutor(len(everybody)) as pool:
            list(pool.map(lambda user: user.place.do(user.gather()), everybody))

    def _open(self, one: SuperNode) -> None:
        self._opened.append(one)
        one.place.do(one.open())

    def _users(self, first: int) -> Users:
        users = {
            kind: Reacher(Place(self._lab.host(kind)), first + number, self._supers)
            for number, kind in enumerate(KINDS)
        }
        for user in users.values():
            self._open(user)
        return users

    def meet(self, pair: tuple[str, str]) -> list[Path | None]:
        """By which path each has heard the other; None when there was none for long."""
        caller, callee = self.callers[pair[0]], self.callees[pair[1]]
        session = new_session()
        asked, answer = caller.offer(callee, session), callee.offer(caller, session)
        both, longest = Barrier(2), LONG if is_direct_by_udp(*pair) is None else PATIENCE
        with ThreadPoolExecutor(2) as pool:
            works = [
                pool.submit(caller.place.do, meets(caller.reach, asked, answer, both, longest)),
                pool.submit(callee.place.do, meets(callee.reach, answer, asked, both, longest)),
            ]
            return [each.result() for each in works]

    def meet_all(self) -> dict[tuple[str, str], list[Path | None]]:
        pairs = list(product(KINDS, KINDS))
        with ThreadPoolExecutor(len(pairs)) as pool:
            return dict(zip(pairs, pool.map(self.meet, pairs), strict=True))


class Hears(Talk):
    """Rings when something was said, and when the path is another one."""

    def __init__(self) -> None:
        super().__init__()
        self.bell, self.end = asyncio.Event(), asyncio.Event()

    def got(self, message: object) -> None:
        super().got(message)
        self.bell.set()

    def closed(self, reason: Exception | None) -> None:
        self.end.set()


async def meets(
    reach: Reach, mine: Offer, theirs: Offer, both: Barrier, longest: float
) -> Path | None:
    meeting, hears = reach.begin(mine, theirs), Hears()
    meeting.moved = hears.bell.set
    udp = Nat.BLOCKED not in (mine.candidates.nat, theirs.candidates.nat)
    stream = path = None
    with suppress(TimeoutError, NetworkError):
        async with asyncio.timeout(longest):
            stream = await meeting.stream(Lines(), hears)
            stream.send(b"hello")
            while not (hears.heard and meeting.path and meeting.path.udp is udp):
                hears.bell.clear()
                await hears.bell.wait()
        path = meeting.path
    await asyncio.to_thread(both.wait)
    meeting.close()
    if stream is not None:
        stream.close()
        await hears.end.wait()
    return path


@pytest.fixture(scope="module")
def village() -> Iterator[Village]:
    with places() as opened, world() as lab:
        yield Village(opened, lab)


@pytest.mark.parametrize("kind", KINDS)
def test_a_user_finds_out_behind_what_he_is(village: Village, kind: str) -> None:
    assert village.callers[kind].candidates.nat is NAT[kind]


def test_direct_paths_are_found_exactly_where_there_are_some(village: Village) -> None:
    found = village.meet_all()
    ways = {pair: [path and path.udp for path in paths] for pair, paths in found.items()}
    assert ways == {pair: [is_direct_by_udp(*pair)] * 2 for pair in found}
    nats = {path.nats for path in found["port", "addr"] if path}
    assert nats == {
        "port-restricted NAT / address-restricted NAT",
        "address-restricted NAT / port-restricted NAT",
    }


def is_direct_by_udp(one: str, other: str) -> bool | None:
    """None where there is no direct path; False where it is TCP's."""
    kinds = {one, other}
    if "blocked" in kinds:
        return None if "symmetric" in kinds else False
    return True if udp_is_direct(one, other) else None
