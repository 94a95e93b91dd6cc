"""What a giver and a taker of a code say to each other, and how many may guess. Sans-IO.

    taker                             giver
    first message   (in Ask)   →
                               ←      first message
    proof, sealed place        →      wrong: a guess is burned, after a few the code is dead
                               ←      0, or 1 with the giver's proof and the sealed link

A taker that does not show a proof has learned nothing, so it costs no guess; a giver whose proof is wrong
may have tried one, so a taker says so and never tries again by itself.

The giver hears where the taker is, and dials it: a router lets in only whom somebody behind it spoke to, and
so each opens the way for the other.
"""

from collections.abc import Iterable, Iterator
from ipaddress import IPv6Address
from itertools import islice
from typing import NamedTuple

from p2pswarm.discovery.codes.pairing import Giver, Taker
from p2pswarm.errors import BusyError, CodeError, NetworkError, RemoteProtocolError
from p2pswarm.formats.code import Code
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone, zone_of
from p2pswarm.wire.rendezvous import Ask, Left, Message, Refused, Said, Why

__all__ = ["MOST_WRONG", "Giving", "Taking", "pack_place", "read_place"]

MOST_WRONG = 5  # guesses: one in 13 000 that somebody finds the code before it is dead
MOST_VISITS = 64  # takers who have not shown their proof yet
VISIT_FOR = 60.0  # seconds
MOST_A_SECOND = 20  # takers; each costs 8 ms
MOST_PLACES = 6  # addresses of a taker
_WRONG, _RIGHT = b"\0", b"\1"


class _Visit(NamedTuple):
    giver: Giver
    since: float


def pack_place(port: int, hosts: Iterable[str]) -> bytes:
    """A port, and addresses of ours that have it; names are left out."""
    ips = [ip for ip in (Address(host, port).ip for host in hosts) if ip is not None]
    six = (ip if isinstance(ip, IPv6Address) else IPv6Address(f"::ffff:{ip}") for ip in ips)
    return port.to_bytes(2, "big") + b"".join(ip.packed for ip in islice(six, MOST_PLACES))


def read_place(data: bytes, seen: str, ours: str) -> tuple[Address, ...]:
    """Where somebody may be dialed who says so and is seen from there, as we are from `ours`.

    What is odd is left out, and what is nearer than they are, unless both are behind one address.
    """
    port, rest = int.from_bytes(data[:2], "big"), data[2 : 2 + 16 * MOST_PLACES]
    hosts = [str(IPv6Address(rest[at : at + 16])) for at in range(0, len(rest) - 15, 16)]
    places = (Address(host, port).normal for host in [seen, *hosts])
    nearest = Zone.THIS_MACHINE if seen and seen == ours else zone_of(seen)
    far = (place for place in places if place.dialable and zone_of(place.host) <= nearest)
    return tuple(dict.fromkeys(far))


class Giving:
    """One code and what it stands for: `received` what the rendezvous says, which sees us from `ours`."""

    def __init__(self, code: Code, link: bytes, ours: str = "") -> None:
        self.code, self.given, self.wrong, self._ours = code, 0, 0, ours
        self.latest: tuple[Address, ...] = ()  # where the last one is who was given the link
        self._link = link
        self._visits: dict[int, _Visit] = {}  # in the order in which they came
        self._second, self._in_it = float("-inf"), 0

    @property
    def dead(self) -> bool:
        """Too many guessed."""
        return self.wrong >= MOST_WRONG

    def received(self, message: Said | Left, now: float) -> Iterator[Said | Left]:
        """What is said to that."""
        visit = self._visits.pop(message.visit, None)
        if isinstance(message, Left):
            return
        if self.dead:
            yield Left(message.visit)
        elif visit is None:
            yield from self._begin(message, now)
        else:
            yield Said(message.visit, self._verdict(visit.giver, message))

    def _begin(self, message: Said, now: float) -> Iterator[Said | Left]:
        yield from self._end_old(now)
        giver = self._met(message.body) if self._may_begin(now) else None
        if giver is None:
            yield Left(message.visit)
        else:
            self._visits[message.visit] = _Visit(giver, now)
            yield Said(message.visit, giver.first)

    def _met(self, first: bytes) -> Giver | None:
        giver = Giver(self.code)
        try:
            giver.meet(first)
        except RemoteProtocolError:
            return None
        return giver

    def _verdict(self, giver: Giver, message: Said) -> bytes:
        if giver.proves(message.body):
            self.given += 1
            self.latest = read_place(giver.place(message.body), message.host, self._ours)
            return _RIGHT + giver.sealed(self._link)
        self.wrong += 1
        return _WRONG

    def _may_begin(self, now: float) -> bool:
        if not 0 <= now - self._second < 1.0:
            self._second, self._in_it = now, 0
        self._in_it += 1
        return self._in_it <= MOST_A_SECOND and len(self._visits) < MOST_VISITS

    def _end_old(self, now: float) -> Iterator[Left]:
        for name, visit in list(self._visits.items()):
            if now - visit.since < VISIT_FOR:
                break
            del self._visits[name]
            yield Left(name)


class Taking:
    """One visit with a code; `link` is there in the end. Only a BusyError may be followed by another one."""

    def __init__(self, code: Code, place: bytes = b"") -> None:
        """`place` is what `pack_place` makes of our own."""
        self._code, self._taker, self._place = code, Taker(code), place
        self._met = False
        self.link = b""

    def begin(self) -> Ask:
        return Ask(self._code.number, self._taker.first)

    def received(self, message: Message) -> Said | None:
        """What is said to that, if anything. Raises CodeError, NetworkError, RemoteProtocolError."""
        match message:
            case Refused(why=Why.UNKNOWN):
                raise CodeError(f"nobody gives code {self._code.number} there (any more)")
            case Refused(why=Why.BUSY, retry=retry) if not self._met:
                raise BusyError("too many ask for that code at a time", retry)
            case Refused():
                raise NetworkError("whoever gives the code has hung up")
            case Said(body=first) if not self._met:
                self._taker.meet(first)
                self._met = True
                return Said(0, self._taker.proof(self._place))
            case Said(body=verdict) if verdict[:1] == _RIGHT:
                self.link = self._opened(verdict[1:])
                return None
            case Said(body=verdict) if verdict == _WRONG:
                raise CodeError(f"those are not the words of code {self._code.number}")
            case _:
                raise RemoteProtocolError("the rendezvous says what does not belong here")

    def _opened(self, sealed: bytes) -> bytes:
        """Raises CodeError."""
        try:
            return self._taker.opened(sealed)
        except RemoteProtocolError as error:
            raise CodeError(f"{error}: nothing of it is believed, ask for another code") from error
