"""Pings and pongs by UDP: who is there, hosts for who starts, query keys, and whether datagrams reach us.

An ultrapeer is a host cache for everybody: a ping that asks for hosts (SCP) gets some of them in one pong
(IPP). A pong counts only when we asked that very address, or everybody could fill our host cache.

The one hard thing: that datagrams reach us unasked is seen only when somebody writes to whom we never
wrote. A neighbour is asked to do that (GTKG/7), and its ping has a GUID that nobody else knows.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from random import Random
from typing import Protocol

from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone, zone_of
from p2pswarm.overlay.gnutella.udp.datagrams import Datagrams, Heard
from p2pswarm.overlay.gnutella.udp.keys import Keys
from p2pswarm.overlay.limits import Tokens
from p2pswarm.overlay.remembering import remember
from p2pswarm.wire.gnutella.descriptor import Descriptor, Guid, Kind, new_guid
from p2pswarm.wire.gnutella.pings import Ping, Pong, pong_ggep
from p2pswarm.wire.gnutella.vendor import UdpConnectBack

__all__ = ["HOSTS", "Probing", "Surroundings", "hosts_for"]

HOSTS = 10  # in an IPP list, as gtk-gnutella sends
MOST_ASKED = 256  # host caches whose answer we wait for
PATIENCE = 30.0  # seconds for a pong
REACHABLE = 3600.0  # seconds for which a test of our reachability counts
MOST_CONNECT_BACKS = (1.0, 20.0)  # pings a second that neighbours may make us send


class Surroundings(Protocol):
    """What is known around this room. Nothing here may raise or wait."""

    @property
    def ultrapeer(self) -> bool:
        """Whether we are one now."""

    def pong(self, asker: Address) -> Pong:
        """We ourselves, as we are told to somebody at this address."""

    def ultrapeers(self, n: int, *, guess: bool) -> list[Address]:
        """Ultrapeers with places free, or (`guess`) that answer queries by UDP, the best first."""

    def told(self, address: Address, teller: Address, *, guess: bool) -> None:
        """`teller` says that an ultrapeer is there, and (`guess`) that it answers queries by UDP."""


def hosts_for(asker: Address, around: Surroundings, *, guess: bool) -> list[Address]:
    """Ultrapeers that may be told to `asker`: IPv4, not nearer to us than it is, and not itself."""
    zone = zone_of(asker.host)
    known = around.ultrapeers(HOSTS + 1, guess=guess)
    fit = [host for host in known if _is_fit(host, zone) and host.normal != asker]
    return fit[:HOSTS]


def _is_fit(host: Address, zone: Zone) -> bool:
    ip = host.ip
    return ip is not None and ip.version == 4 and host.dialable and zone_of(host.host) <= zone


class Probing:
    """Takes care of PING and PONG."""

    def __init__(
        self,
        datagrams: Datagrams,
        around: Surroundings,
        keys: Keys,
        clock: Callable[[], float],
        dice: Random,
    ) -> None:
        self._datagrams, self._around, self._keys = datagrams, around, keys
        self._clock, self._dice = clock, dice
        self._asked: OrderedDict[Address, tuple[Guid, float]] = OrderedDict()
        self._test: Guid | None = None
        self._tested = float("-inf")
        self._connecting_back = Tokens(*MOST_CONNECT_BACKS, clock())
        datagrams.route(Kind.PING, self._ping)
        datagrams.route(Kind.PONG, self._pong)

    # What we ask

    def ask_host_caches(self, caches: Iterable[Address]) -> None:
        """For hosts to connect to; what they know goes to `Surroundings.told`."""
        guid, now = new_guid(self._dice), self._clock()
        ping = Ping.asking(hosts=True, ultrapeer=self._around.ultrapeer)
        for cache in caches:
            remember(self._asked, cache.normal, (guid, now), MOST_ASKED)
            self._datagrams.send(Descriptor(guid, Kind.PING, 1, 0, ping.encode()), cache)

    def test(self, port: int) -> UdpConnectBack:
        """To be said to neighbours to whom we sent no datagram: they then send one to our port."""
        self._test = self._test or new_guid(self._dice)
        return UdpConnectBack(port, self._test)

    @property
    def reachable(self) -> bool:
        """Whether datagrams reach us that nobody behind our firewall asked for."""
        return 0 <= self._clock() - self._tested < REACHABLE

    def connect_back(self, message: UdpConnectBack, guid: Guid, neighbour: str) -> bool:
        """A neighbour on that host tests itself: send the ping it wants, there and nowhere else."""
        to = Address(neighbour, message.port)
        if not to.dialable or not self._connecting_back.take(self._clock()):
            return False
        self._datagrams.send(Descriptor(message.guid or guid, Kind.PING, 1, 0, b""), to)
        return True

    # What is heard

    def _ping(self, heard: Heard) -> None:
        if heard.head.guid == self._test and not self._datagrams.wrote_to(heard.address):
            self._test, self._tested = None, heard.now
        ping = Ping.read(heard.head.payload)
        if self._around.ultrapeer:
            self._introduced(ping, heard.address)
        pong = self._around.pong(heard.address)
        plain = {**pong.ggep, **self._extensions(ping, heard)}
        full = {**plain, **self._hosts(ping, heard.address)}
        # Without the list when there is too much of it: that we are here is worth more.
        for ggep in [full, plain] if len(full) > len(plain) else [plain]:
            payload = Pong(pong.address, pong.files, pong.kib, ggep).encode()
            if self._datagrams.answer(heard, Descriptor(heard.head.guid, Kind.PONG, 1, 0, payload)):
                return

    def _extensions(self, ping: Ping, heard: Heard) -> dict[str, bytes]:
        """Only an ultrapeer answers queries by UDP, so only there a key is of use."""
        if not self._around.ultrapeer:
            return {}
        wants = ping.wants_key and heard.head.ttl == 1  # with another TTL it is none (query_keys)
        key = self._keys.issue(heard.address, heard.now) if wants else b""
        return pong_ggep(guess=True, key=key)

    def _hosts(self, ping: Ping, asker: Address) -> dict[str, bytes]:
        """GUESS 0.2: with QK or an empty GUE hosts to query are meant, otherwise hosts to connect to."""
        explores = ping.ggep.get("GUE") == b""
        if not self._around.ultrapeer or not (ping.wants_hosts or explores):
            return {}
        guess = explores or ping.wants_key
        hosts = hosts_for(asker, self._around, guess=guess)
        return pong_ggep(hosts=hosts)

    def _introduced(self, ping: Ping, address: Address) -> None:
        """GUESS 0.2, 10: an ultrapeer that asks for a key says that it answers queries, and at which port."""
        told = ping.ggep.get("GUE", b"")
        if ping.wants_key and len(told) >= 3:
            port = int.from_bytes(told[1:3], "little")
            self._around.told(Address(address.host, port), address, guess=True)

    def _pong(self, heard: Heard) -> None:
        guid, when = self._asked.get(heard.address, (b"", 0.0))
        if guid != heard.head.guid or heard.now - when > PATIENCE:
            self._datagrams.dropped["not asked"] += 1
            return
        pong = Pong.read(heard.head.payload)
        del self._asked[heard.address]
        if pong.ultrapeer:
            self._around.told(heard.address, heard.address, guess=pong.guess is not None)
        for host in pong.hosts:
            if zone_of(host.host) <= zone_of(heard.address.host):
                self._around.told(host, heard.address, guess=False)
