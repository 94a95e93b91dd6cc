"""Who is online: `Member` is one of them, `People` all of them, and who waits for whom.

Nicks are the same in upper and lower case.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from p2pswarm.wire.napster import (
    AlternatePort,
    Browse,
    HashEnd,
    HashLookup,
    Malformed,
    Message,
    NoSuch,
    Search,
    SearchEnd,
    ShareDirectory,
    SignOff,
    SignOn,
    Unknown,
)
from tracker.napster.limits import Allowance, Purpose
from tracker.napster.session import Hold, Later, Session

__all__ = ["Duties", "Member", "People", "is_nick"]

_LATELY = 10_000  # who left is remembered for that many
_LONGEST_NICK = 32
# OpenNap's rules: printable ASCII, no beginning that means a channel, and nothing that patterns or lists use.
_NOT_FIRST = frozenset("#&:-")
_NOWHERE = frozenset('%$*?.!",\\')
_RESERVED = frozenset(("operserv", "chanserv", "nickserv", "operator", "server"))

# What OpenNap takes and does nothing about: 14 is a questionnaire, nobody knows 920.
_IGNORED = frozenset((14, 920))
_BROWSE_COST = 5  # queries
_PART = 100  # messages of a long list sent in one go

Duties = Mapping[type, tuple[Purpose, Callable[["Member", Any], None]]]
"""What is done about each message, and which allowance it is paid from."""


def is_nick(text: str) -> bool:
    return (
        0 < len(text) <= _LONGEST_NICK
        and text.lower() not in _RESERVED
        and text[0] not in _NOT_FIRST
        and all("!" <= char <= "~" and char not in _NOWHERE for char in text)
    )


@dataclass(slots=True, eq=False)
class Member:
    """Somebody who has logged in. `host` is the address that the server sees, never one that is claimed."""

    number: int
    nick: str
    host: str
    port: int  # 0: nobody can connect there
    speed: int
    program: str
    ours: bool  # it speaks our extension
    since: float
    proof: bytes  # of the password, so that a guest who lost the connection can come back
    session: Session
    clock: Callable[[], float]
    later: Later
    duties: Duties
    allowances: Mapping[Purpose, Allowance]
    leave: Callable[["Member"], None]
    asked: float = 0.0  # when the server wanted to know whether they live
    informed: float = 0.0  # when they got the server's numbers
    shared: int = 0  # files in the index
    adding: int = 0  # and on their way there
    warned: set[str] = field(default_factory=set)  # what is told only once
    downloads: int = 0
    uploads: int = 0
    hotlist: dict[str, None] = field(default_factory=dict)
    ignored: dict[str, str] = field(default_factory=dict)  # lower case, and as it was written
    _list: Iterator[Message] = field(default_factory=lambda: iter(()))
    _reciting: bool = False

    # What the session wants to know

    def handle(self, message: object) -> float:
        purpose, answer = self.duties.get(type(message), _ODD)
        wait = self.allowances[purpose].spend(_cost(message), self.clock())
        answer(self, message)
        return wait

    def ready(self) -> None:
        self._go_on()

    def gone(self) -> None:
        self.leave(self)

    # What the rooms may do

    def send(self, *messages: Message) -> None:
        self.session.send(*messages)

    def relay(self, message: Message) -> bool:
        """Somebody else's words; False when they were dropped, because this one does not read."""
        return self.session.relay(message)

    def recite(self, messages: Iterator[Message]) -> None:
        """A long list, in parts; nothing else is answered before its end."""
        self.session.hold(Hold.RECITING)
        self._list, self._reciting = messages, True
        self._go_on()

    def warn(self, text: str) -> None:
        """A 404 that is said once, however often there is a reason."""
        if text not in self.warned:
            self.warned.add(text)
            self.send(NoSuch(text))

    def ignores(self, other: "Member") -> bool:
        return other.nick.lower() in self.ignored

    def _go_on(self) -> None:
        """The next part, unless the other side has to read first."""
        if self.session.full or self.session.stream.over:
            return
        part = list(islice(self._list, _PART))
        self.send(*part)
        if len(part) == _PART:
            self.later(0, self._go_on)
        elif self._reciting:
            self._reciting = False
            self.session.release(Hold.RECITING)

    def _odd(self, message: Any) -> None:
        """What has no answer gets one; ends of lists are sent, because programs wait for them."""
        match message:
            case Unknown(number) if number in _IGNORED:
                return
            case Unknown(number):
                self.send(NoSuch(f"Unknown command code {number}"))
            case Malformed(number, why):
                self.send(NoSuch(f"invalid message {number}: {why}"))
                if number == Search.number:
                    self.send(SearchEnd())
                elif number == HashLookup.number:
                    self.send(HashEnd())
            case AlternatePort():
                return
            case _:
                self.send(NoSuch(f"Unknown command code {message.number}"))


_ODD: tuple[Purpose, Callable[[Member, Any], None]] = ("talk", Member._odd)  # noqa: SLF001


def _cost(message: object) -> int:
    if isinstance(message, ShareDirectory):
        return len(message.files)
    return _BROWSE_COST if isinstance(message, Browse) else 1


class People:
    """Invariant: everybody in `_by_number` is in `_by_nick` and the other way round."""

    def __init__(self) -> None:
        self._by_nick: dict[str, Member] = {}
        self._by_number: dict[int, Member] = {}
        self._watchers: dict[str, dict[Member, None]] = {}
        self._lately: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_nick)

    def __iter__(self) -> Iterator[Member]:
        return iter(self._by_number.values())

    def named(self, nick: str) -> Member | None:
        return self._by_nick.get(nick.lower())

    def numbered(self, number: int) -> Member | None:
        return self._by_number.get(number)

    def arrive(self, member: Member) -> None:
        """The nick is free by now. Who waits for it is told."""
        key = member.nick.lower()
        assert key not in self._by_nick
        self._by_nick[key] = self._by_number[member.number] = member
        self._lately.pop(key, None)
        for watcher in self._watchers.get(key, ()):
            watcher.relay(SignOn(member.nick, member.speed))

    def leave(self, member: Member, now: float) -> None:
        key = member.nick.lower()
        del self._by_nick[key], self._by_number[member.number]
        self._lately[key] = (member.nick, now)
        if len(self._lately) > _LATELY:
            self._lately.popitem(last=False)
        for nick in list(member.hotlist):
            self.unwatch(member, nick)
        for watcher in self._watchers.get(key, ()):
            watcher.relay(SignOff(member.nick))

    def left(self, nick: str) -> tuple[str, float] | None:
        """Somebody who is not here any more: their nick as they write it, and when they left."""
        return self._lately.get(nick.lower())

    def watch(self, member: Member, nick: str) -> None:
        """Tell `member` when `nick` comes and goes."""
        member.hotlist[nick.lower()] = None
        self._watchers.setdefault(nick.lower(), {})[member] = None

    def unwatch(self, member: Member, nick: str) -> None:
        key = nick.lower()
        if member.hotlist.pop(key, member) is None:
            watchers = self._watchers[key]
            del watchers[member]
            if not watchers:
                del self._watchers[key]

    def check(self) -> None:
        """The invariants, for tests."""
        assert {m.number: m for m in self._by_nick.values()} == self._by_number
        for nick, watchers in self._watchers.items():
            assert watchers
            assert all(nick in watcher.hotlist for watcher in watchers)
            assert all(watcher in self._by_number.values() for watcher in watchers)
