"""Somebody looked up: in what we know, by a walk of ours, or by our homes, which ask on for us.

The walk is the rule: we see every answer and every time-out ourselves. Where UDP does not come through, our
homes do it. Either way a record counts when its signatures hold, whoever brings it.

In the first seconds of a network of one's own nobody can say yet who somebody is, or nobody has told them: so
he is asked for again for a while.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import TypeAlias

from p2pswarm.errors import (
    NetworkError,
    NoLoginError,
    RemoteError,
    RemoteProtocolError,
    UnknownNameError,
)
from p2pswarm.formats.ids import Address
from p2pswarm.formats.people.names import HASH_SIZE, name_hash, parse_name
from p2pswarm.formats.people.record import Record
from p2pswarm.overlay.people.caches import Cache
from p2pswarm.overlay.people.home import Home
from p2pswarm.overlay.people.lookup import SILENCE, Verdict, Walk
from p2pswarm.overlay.people.proving import Proofs
from p2pswarm.overlay.people.walks import Question, Walks
from p2pswarm.wire.people.finding import Find, Found as FoundMessage, Unknown
from p2pswarm.wire.people.frames import PeopleKind
from p2pswarm.wire.supernode.frames import Frame

__all__ = ["Finder", "Found"]

STARTS = 3  # super nodes that a walk begins with
ENOUGH = 2  # homes that say that nobody has the name
INSISTS = 8.0  # seconds for which is asked again what super nodes cannot say yet
PAUSE = 0.7  # seconds between two times
YOUNG = 8  # seconds for which super nodes know their slot, until their no is final


@dataclass(frozen=True, slots=True)
class Found:
    """Somebody, and what it took to find him."""

    record: Record
    hops: int
    """Super nodes that were asked one behind the other; 0 when we knew him."""
    messages: int
    """Both ways, also of those who asked on for us."""


class _NotYetError(NetworkError):
    """Somebody is there who does not know all of its slot yet."""


class _YoungError(UnknownNameError):
    """Nobody has the name, in a directory that has just begun."""


Homes: TypeAlias = Callable[[], Awaitable[Sequence[Home]]]
"""Super nodes that we are connected to, or connect to for this. Raises NetworkError when there are none."""


class Finder:
    """`find`; `starts` gives super nodes that we know, the best first."""

    def __init__(
        self,
        walks: Walks,
        proofs: Proofs,
        starts: Callable[[int], list[Address]],
        homes: Homes,
        dice: Random,
    ) -> None:
        self._walks, self._proofs, self._dice = walks, proofs, dice
        self._starts, self._homes = starts, homes
        self._clock = asyncio.get_running_loop().time
        self._cache: Cache[Record] = Cache()
        self.deaf = False
        """The last walk heard nobody: then our homes may know more."""

    async def find(self, name: str, *, recursive: bool = False, anew: bool = False) -> Found:
        """`anew`: what we know, or the next best says, is old.

        Raises FormatError for what is no name, NoLoginError, UnknownNameError, NetworkError.
        """
        name = parse_name(name)
        hashed = name_hash(name)
        if self._proofs.who.authority is None:
            raise NoLoginError(
                "no login service is known, so nobody can be told from a liar: --login URL says which"
            )
        known = self._cache.get(hashed, self._clock())
        if known is not None and not anew:
            return Found(known, 0, 0)
        if self._cache.is_unknown(hashed, self._clock()) and not anew:
            raise _unknown(name)
        until = self._clock() + (0.0 if anew else INSISTS)
        while True:
            try:
                if recursive:
                    return await self._recursive(name, hashed)
                return await self._iterative(name, hashed, thorough=anew)
            except (_NotYetError, _YoungError):
                if self._clock() >= until:
                    raise
            await asyncio.sleep(PAUSE * self._dice.uniform(0.7, 1.3))

    async def look_around(self) -> None:
        """Ask for what nobody is called: on the way super nodes are named."""
        await self._walk(self._dice.randbytes(HASH_SIZE))

    def drop(self, record: Record) -> None:
        """He is not where it says."""
        self._cache.drop(record.hash)

    async def _iterative(self, name: str, hashed: bytes, *, thorough: bool) -> Found:
        """Raises UnknownNameError, NetworkError."""
        if self.deaf:
            try:
                return await self._recursive(name, hashed)
            except UnknownNameError:
                raise
            except NetworkError:
                pass  # then the walk may be better after all
        verdict = await self._walk(hashed, thorough=thorough)
        if verdict.record is not None:
            return Found(verdict.record, verdict.hops, verdict.messages)
        if verdict.known:
            raise self._denied(name, hashed, verdict.ttl, young=verdict.ttl < YOUNG)
        return await self._recursive(name, hashed)

    async def _walk(self, hashed: bytes, *, thorough: bool = False) -> Verdict[Record]:
        starts, dice = self._starts(STARTS), self._dice
        walk: Walk[Record] = Walk(starts, dice, thorough=thorough, silence=SILENCE)
        heard = partial(self._heard, hashed)
        question: Question[Record] = Question(hashed, lambda token: Find(token, hashed), heard)
        verdict = await self._walks.walk(walk, question)
        self.deaf = not verdict.answers
        return verdict

    def _heard(self, hashed: bytes, walk: Walk[Record], address: Address, frame: Frame) -> None:
        """Raises RemoteError."""
        if frame.kind != PeopleKind.FOUND:
            raise RemoteProtocolError("no answer to what was asked")
        record = self._believed(FoundMessage.read(frame.body), hashed)
        walk.found(address, record, record.seq)

    def _believed(self, found: FoundMessage, hashed: bytes) -> Record:
        """Raises RemoteError for what is forged, somebody else's, or old."""
        record = self._proofs.record(found.record)
        if record.hash != hashed:
            raise RemoteProtocolError("it gives the record of somebody else")
        if record.seq < self._cache.newest(hashed):
            raise RemoteProtocolError(f"it gives an old record of {record.name}")
        ttl = min(found.ttl, record.ttl)
        self._cache.found(hashed, record, record.seq, ttl, self._clock())
        return record

    async def _recursive(self, name: str, hashed: bytes) -> Found:
        """Raises UnknownNameError, NetworkError."""
        troubles: list[RemoteError] = []
        homes = await self._homes()
        denied: list[Unknown] = []
        for asked, home in enumerate(homes, 1):
            try:
                found = await self._by(home, hashed)
            except RemoteError as error:
                troubles.append(error)
                continue
            if isinstance(found, Found):
                return Found(found.record, found.hops, found.messages + 2 * asked)
            denied.append(found)
            if len(denied) >= min(ENOUGH, len(homes)):
                young = any(each.authoritative and each.ttl < YOUNG for each in denied)
                raise self._denied(name, hashed, min(each.ttl for each in denied), young=young)
        young = any(isinstance(each, _NotYetError) for each in troubles)
        trouble = troubles[-1] if troubles else "too few answer"
        kind = _NotYetError if young else NetworkError
        raise kind(f"nobody could say who {name} is: {trouble}")

    def _denied(self, name: str, hashed: bytes, ttl: float, *, young: bool) -> UnknownNameError:
        self._cache.unknown(hashed, ttl, self._clock())
        return _unknown(name, _YoungError if young else UnknownNameError)

    async def _by(self, home: Home, hashed: bytes) -> Found | Unknown:
        """What a home says. Raises RemoteError, also when it does not know."""
        frame = await home.ask(lambda token: Find(token, hashed, recursive=True))
        if frame.kind == PeopleKind.UNKNOWN:
            unknown = Unknown.read(frame.body)
            if not unknown.ttl:
                raise _NotYetError(f"{home.address} does not know everybody yet")
            return unknown
        found = FoundMessage.read(frame.body)
        return Found(self._believed(found, hashed), found.hops + 1, found.messages)


def _unknown(name: str, kind: type[UnknownNameError] = UnknownNameError) -> UnknownNameError:
    return kind(f"nobody is called {name}, or not in the last three days")
