"""Where we may be reached: our own addresses, and where super nodes see us, by UDP and by TCP.

Datagrams go out from the node's port, so what is seen is the way to it. By TCP a connection that stays open
shows the number which our NAT gives to one of ours; from that number we dial whom we want to meet.

The one hard thing: somebody waits for all this. Everything is asked at once, and what is not there in two
seconds is left out. What is filtered is asked only now and then, for it is shown and decides nothing.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING

from p2pswarm.errors import NetworkError, RemoteError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.net.binding import own_addresses
from p2pswarm.net.port import Port
from p2pswarm.reach import stun
from p2pswarm.reach.answering import CHANGE_HOST, CHANGE_PORT
from p2pswarm.reach.nat import Findings
from p2pswarm.reach.offers import MAX_CANDIDATES, Candidate, CandidateKind, Candidates, Nat
from p2pswarm.wire.people.frames import OPENING, PeopleFramer, PeopleKind
from p2pswarm.wire.people.hello import Hello, Ping, Want, Welcome
from p2pswarm.wire.supernode.frames import Frame

if TYPE_CHECKING:
    from p2pswarm.net.stream import Stream

__all__ = ["Gathering"]

LONGEST = 2.0  # seconds for all of it
SEND_AGAIN = (0.2, 0.4, 0.8)  # seconds
FILTER_TIME = (0.2, 0.3)
FILTER_KNOWN = 600.0  # seconds for which it is believed
FOUND_KNOWN = 5.0  # seconds for which all of it is
ALIVE_TIME = 0.8  # seconds for an answer on a visit that lasts
ASKED = 2  # super nodes; one that was not is needed for what is filtered
MOST_OWN = 8
_Answers = dict[bytes, tuple[stun.Message, Address]]


class Gathering:
    """One for a node. `close` at the end."""

    def __init__(
        self,
        port: Port,
        dice: Random,
        super_nodes: Callable[[], Sequence[Address]],
        node: bytes,
    ) -> None:
        self._port, self._dice, self._super_nodes, self._node = port, dice, super_nodes, node
        self._waiting: dict[bytes, Callable[[stun.Message, Address], None]] = {}
        self._filter: tuple[Address, Nat, float] | None = None
        self._gathering = asyncio.Lock()
        self._found: tuple[Candidates, Sequence[str], float] | None = None  # where, until when
        self._visit: Stream | None = None
        self._visited: _Visit | None = None
        self._seen: Address | None = None  # on that visit
        self.number = 0
        """From which TCP number super nodes were asked where they see us; 0 when none was."""

    def answered(self, message: stun.Message, source: Address) -> bool:
        """Whether we asked for it."""
        waiting = self._waiting.get(message.transaction_id)
        if waiting is not None:
            waiting(message, source)
        return waiting is not None

    async def gather(self, *, anew: bool = False) -> Candidates:
        """What is known after two seconds at the latest; what was found a moment ago is.

        Anew, nothing that is known counts: perhaps we are in another network.
        """
        loop = asyncio.get_running_loop()
        async with self._gathering:
            own = own_addresses(self._port.hosts)[:MOST_OWN]
            if self._found is not None and not anew:
                found, where, until = self._found
                if where == own and loop.time() <= until:
                    return found
            found = await self._gather(own)
            self._found = (found, own, loop.time() + FOUND_KNOWN)
            return found

    async def _gather(self, own: Sequence[str]) -> Candidates:
        asked = _of_different_hosts(self._super_nodes())
        async with asyncio.TaskGroup() as tasks:
            udp = tasks.create_task(self._seen_by_udp(asked, own))
            tcp = tasks.create_task(self._seen_by_tcp(asked, own))
        findings, nat = udp.result()
        return self._candidates(own, list(findings.reflexive), tcp.result(), nat)

    def close(self) -> None:
        """May be called twice."""
        visit, self._visit, self._seen = self._visit, None, None
        if visit is not None:
            visit.close()

    def _candidates(
        self, own: Sequence[str], udp: Sequence[Address], tcp: Address | None, nat: Nat
    ) -> Candidates:
        number, host = self._port.number, CandidateKind.HOST
        ours = [Candidate(host, Address(each, number)) for each in own]
        seen = [each for each in udp if each.host not in own]
        outside = {each.host for each in (*seen, *([tcp] if tcp else []))}
        # Perhaps its user told the router to let our port through.
        forwarded = [Candidate(host, Address(each, number)) for each in sorted(outside)]
        reflexive = [Candidate(CandidateKind.REFLEXIVE, each) for each in seen]
        dialing = [Candidate(CandidateKind.REFLEXIVE, tcp)] if tcp else []
        few = slice(MAX_CANDIDATES)
        return Candidates(tuple(ours + reflexive)[few], tuple(ours + dialing + forwarded)[few], nat)

    # By UDP

    async def _seen_by_udp(
        self, asked: Sequence[Address], own: Sequence[str]
    ) -> tuple[Findings, Nat]:
        findings = Findings(len(asked))
        asks = {self._dice.randbytes(stun.TRANSACTION_SIZE): each for each in asked}
        answers = await self._ask(
            {name: (stun.ask(name), each) for name, each in asks.items()}, SEND_AGAIN
        )
        findings.seen += (stun.mapped(answer) for answer, _ in answers.values())
        if (nat := findings.nat(own)) in (Nat.PORT, Nat.UNKNOWN) and answers:
            nat = await self._filtered(findings, own, asked, *next(iter(answers.values())))
        return findings, nat

    async def _filtered(
        self,
        findings: Findings,
        own: Sequence[str],
        asked: Sequence[Address],
        answer: stun.Message,
        where: Address,
    ) -> Nat:
        now, seen = asyncio.get_running_loop().time(), findings.seen[0]
        if self._filter is not None and self._filter[0] == seen and now < self._filter[2]:
            return self._filter[1]
        sign = answer.attributes.get("NONCE", b"")
        port, host = (self._dice.randbytes(stun.TRANSACTION_SIZE) for _ in range(2))
        known = {each.host for each in asked}
        but = [each.normal for each in asked if each.normal != where][:1] or [where]
        asks = {
            name: (stun.ask(name, NONCE=sign, CHANGE_REQUEST=change, OTHER_ADDRESS=but[0]), where)
            for name, change in ((port, CHANGE_PORT), (host, CHANGE_HOST))
        }
        answers = await self._ask(asks, FILTER_TIME)
        findings.from_other_port = port in answers
        findings.from_other_host = host in answers and answers[host][1].host not in known
        nat = findings.nat(own)
        self._filter = (seen, nat, now + FILTER_KNOWN)
        return nat

    async def _ask(
        self, asks: dict[bytes, tuple[bytes, Address]], again: Sequence[float]
    ) -> _Answers:
        """Sent again and again; what was answered until the end."""
        answers: _Answers = {}
        bell = asyncio.Event()

        def hear(message: stun.Message, source: Address) -> None:
            if "XOR-MAPPED-ADDRESS" in message.attributes:
                answers.setdefault(message.transaction_id, (message, source))
            if len(answers) == len(asks):
                bell.set()

        self._waiting.update(dict.fromkeys(asks, hear))
        try:
            for seconds in again if asks else ():
                for name, (data, where) in asks.items():
                    if name not in answers:
                        self._port.send_datagram(data, where)
                if await _rang(bell, seconds):
                    break
        finally:
            for name in asks:
                del self._waiting[name]
        return answers

    # By TCP

    async def _seen_by_tcp(self, asked: Sequence[Address], own: Sequence[str]) -> Address | None:
        """Where a super node sees us, if that is in front of a NAT.

        While a visit lasts its number stays: somebody may have been told of it, and dial there soon.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST):
                if not await self._visit_lasts(own):
                    self.close()
                    await self._first_of(asked)
        return None if self._seen is None or self._seen.host in own else self._seen

    async def _visit_lasts(self, own: Sequence[str]) -> bool:
        """Whoever is in another network now does not hear that it ended."""
        visit, visited = self._visit, self._visited
        if visit is None or visited is None or visit.over or self._seen is None:
            return False
        if visit.local.host not in own:
            return False
        try:
            async with asyncio.timeout(ALIVE_TIME):
                return await visited.answers(visit)
        except TimeoutError:
            return False

    async def _first_of(self, super_nodes: Sequence[Address]) -> None:
        for each in super_nodes:
            try:
                self._seen = await self._seen_by(each)
            except (OSError, RemoteError):
                self.close()
            else:
                return

    async def _seen_by(self, super_node: Address) -> Address:
        """Raises OSError, RemoteError."""
        visit = self._visited = _Visit()
        framer = PeopleFramer(self._port.scratch)
        stream = self._visit = await self._port.dial_from(0, super_node, framer, visit)
        self.number = stream.local.port
        stream.send(OPENING + Hello(self._node, Want.VISIT, self._port.number).encode().encode())
        return (await visit.seen).normal


class _Visit:
    """With a super node that sees where we come from."""

    def __init__(self) -> None:
        self.seen: asyncio.Future[Address] = asyncio.get_running_loop().create_future()
        self._alive = asyncio.Event()

    async def answers(self, stream: "Stream") -> bool:
        """True when it does, which may be never; False when it is over."""
        self._alive.clear()
        stream.send(Ping().encode().encode())
        await self._alive.wait()
        return not stream.over

    def got(self, message: object) -> None:
        """Raises RemoteProtocolError."""
        assert isinstance(message, Frame)
        if message.kind == PeopleKind.REFUSE:
            raise RemoteProtocolError("it takes nobody in")
        if message.kind == PeopleKind.WELCOME and not self.seen.done():
            self.seen.set_result(Welcome.read(message.body).you)
        if message.kind == PeopleKind.PONG:
            self._alive.set()

    def caught_up(self) -> None:
        """There is nothing to answer."""

    def drained(self) -> None:
        """Nothing large is sent."""

    def closed(self, reason: Exception | None) -> None:
        self._alive.set()
        if not self.seen.done():
            self.seen.set_exception(reason or NetworkError("it hung up"))
            self.seen.exception()  # nobody may be waiting


async def _rang(bell: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await bell.wait()
    except TimeoutError:
        return False
    return True


def _of_different_hosts(addresses: Iterable[Address]) -> list[Address]:
    """Few, and each shows something of its own."""
    return list({each.host: each for each in addresses}.values())[:ASKED]
