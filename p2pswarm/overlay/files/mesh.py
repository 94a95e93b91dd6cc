"""The download mesh: for a few files, who else has them, and what we have of them so far. Sans-IO.

Others name hosts in their headers. Such a host is heard, and is told on only once it gave us bytes that
proved good, or told us itself that it has some; one that failed is told as bad. All of it is forgotten after
a while, and bounded: so many files, so many hosts of each, and so many from one teller, or a liar would fill
it with victims.
"""

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import NamedTuple

from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import zone_of
from p2pswarm.overlay.network import Part
from p2pswarm.overlay.remembering import remember

__all__ = ["Mesh"]

MOST_FILES = 1000
MOST_HOSTS = 50  # of each list of one file
MOST_OF_TELLER = 10  # hosts that one of them may name, of one file
MOST_TOLD = 15  # hosts that we name in one answer
MOST_PORTS = 3  # of one host that tells of itself
DOUBTS = 2  # hosts that say so, until one is not told of any more
KEPT = 3600.0  # seconds that a host counts as good, or bad


class _Heard(NamedTuple):
    teller: str
    when: float


@dataclass(slots=True)
class _Hosts:
    """Of one file. A host is in at most one of the first three; the oldest is the first."""

    heard: OrderedDict[Address, _Heard] = field(default_factory=OrderedDict)
    good: OrderedDict[Address, float] = field(default_factory=OrderedDict)
    bad: OrderedDict[Address, float] = field(default_factory=OrderedDict)
    doubts: dict[Address, set[str]] = field(
        default_factory=dict
    )  # of good ones: who says otherwise


class Mesh:
    """Files go by SHA-1."""

    def __init__(self) -> None:
        self._files: OrderedDict[bytes, _Hosts] = OrderedDict()
        self._partials: dict[bytes, Part] = {}

    # Partial files

    def begin(self, partial: Part) -> None:
        """A download runs, whose verified parts may be given."""
        self._partials[partial.sha1] = partial

    def end(self, partial: Part) -> None:
        """It does not any more; may be called twice."""
        if self._partials.get(partial.sha1) is partial:
            del self._partials[partial.sha1]

    def partial(self, sha1: bytes) -> Part | None:
        return self._partials.get(sha1)

    # Hosts

    def heard(self, sha1: bytes, host: Address, teller: Address, now: float) -> bool:
        """`teller` says that `host` has it; whether that is news worth trying."""
        host = host.normal
        if not host.dialable or zone_of(host.host) > zone_of(teller.host):
            return False
        hosts = self._hosts(sha1, now)
        if host in hosts.good or host in hosts.bad or host in hosts.heard:
            return False
        told = Counter(entry.teller for entry in hosts.heard.values())
        if told[teller.host] >= MOST_OF_TELLER or len(hosts.heard) >= MOST_HOSTS:
            return False
        hosts.heard[host] = _Heard(teller.host, now)
        return True

    def offered(self, sha1: bytes, host: Address, now: float) -> None:
        """It is there, and says of itself that it has some of it."""
        hosts, host = self._hosts(sha1, now), host.normal
        ports = sum(other.host == host.host and other != host for other in hosts.good)
        if host.dialable and host not in hosts.bad and ports < MOST_PORTS:
            hosts.heard.pop(host, None)
            remember(hosts.good, host, now, MOST_HOSTS)

    def doubted(self, sha1: bytes, host: Address, teller: Address, now: float) -> None:
        """`teller` says that `host` does not have it (X-NAlt)."""
        hosts, host = self._known(sha1, now), host.normal
        if hosts is None or host not in hosts.good:
            return
        hosts.doubts = {known: who for known, who in hosts.doubts.items() if known in hosts.good}
        who = hosts.doubts.setdefault(host, set())
        who.add(teller.host)
        if len(who) >= DOUBTS:
            del hosts.good[host], hosts.doubts[host]

    def proved(self, sha1: bytes, host: Address, now: float) -> None:
        """It gave good bytes."""
        hosts = self._hosts(sha1, now)
        hosts.bad.pop(host.normal, None)
        hosts.heard.pop(host.normal, None)
        remember(hosts.good, host.normal, now, MOST_HOSTS)

    def failed(self, sha1: bytes, host: Address, now: float) -> None:
        """It does not have it, or is not there."""
        hosts = self._hosts(sha1, now)
        hosts.good.pop(host.normal, None)
        hosts.heard.pop(host.normal, None)
        remember(hosts.bad, host.normal, now, MOST_HOSTS)

    def good(self, sha1: bytes, now: float, without: Address | None = None) -> list[Address]:
        """Whom we tell of, the latest first; nobody of itself, and nobody of a host nearer to us."""
        hosts = self._known(sha1, now)
        return _latest(hosts.good, without) if hosts else []

    def bad(self, sha1: bytes, now: float, without: Address | None = None) -> list[Address]:
        """Those to be tried no more."""
        hosts = self._known(sha1, now)
        return _latest(hosts.bad, without) if hosts else []

    def _hosts(self, sha1: bytes, now: float) -> _Hosts:
        hosts = self._known(sha1, now)
        if hosts is None:
            hosts = self._files[sha1] = _Hosts()
            if len(self._files) > MOST_FILES:
                self._files.popitem(last=False)
        return hosts

    def _known(self, sha1: bytes, now: float) -> _Hosts | None:
        hosts = self._files.get(sha1)
        if hosts is not None:
            self._files.move_to_end(sha1)
            for host in [h for h, entry in hosts.heard.items() if entry.when <= now - KEPT]:
                del hosts.heard[host]
            for known in (hosts.good, hosts.bad):
                while known and next(iter(known.values())) <= now - KEPT:
                    known.popitem(last=False)
        return hosts


def _latest(known: OrderedDict[Address, float], asker: Address | None) -> list[Address]:
    told: list[Address] = []
    for host in reversed(known):
        nearer = asker is not None and zone_of(host.host) > zone_of(asker.host)
        if host != asker and not nearer and len(told) < MOST_TOLD:
            told.append(host)
    return told
