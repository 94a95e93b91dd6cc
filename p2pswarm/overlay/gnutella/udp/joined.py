"""What we do by UDP, joined: host caches, iterative searches, hits out of band, pushes.

It stands beside the links and uses the same router: who asks by UDP is one more asker to it.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from random import Random
from typing import Protocol

from p2pswarm.errors import LocalProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone, zone_of
from p2pswarm.net.port import Port
from p2pswarm.overlay.gnutella.links.agreement import Role
from p2pswarm.overlay.gnutella.links.link import Link
from p2pswarm.overlay.gnutella.routing.router import Router
from p2pswarm.overlay.gnutella.udp.claims import Claims, asking_for_offers
from p2pswarm.overlay.gnutella.udp.datagrams import Datagrams
from p2pswarm.overlay.gnutella.udp.guess_hosts import GuessHosts
from p2pswarm.overlay.gnutella.udp.guess_server import GuessServer, Way
from p2pswarm.overlay.gnutella.udp.guessing import Guessing
from p2pswarm.overlay.gnutella.udp.keys import Keys
from p2pswarm.overlay.gnutella.udp.offers import Offers
from p2pswarm.overlay.gnutella.udp.out_of_band import OutOfBand
from p2pswarm.overlay.gnutella.udp.probing import Probing
from p2pswarm.overlay.gnutella.udp.proxies import Proxies
from p2pswarm.overlay.hosts.hosts import Hosts
from p2pswarm.overlay.remembering import remember
from p2pswarm.wire.gnutella.descriptor import Descriptor, Kind, new_guid
from p2pswarm.wire.gnutella.hit import QueryHit
from p2pswarm.wire.gnutella.pings import Pong
from p2pswarm.wire.gnutella.push import Push
from p2pswarm.wire.gnutella.query import Query
from p2pswarm.wire.gnutella.vendor import (
    PushProxyAck,
    PushProxyRequest,
    UdpConnectBack,
    Vendor,
    VendorMessage,
)
from p2pswarm.wire.sniff import DatagramGuest

__all__ = ["Ear", "Udp"]

MOST_WAYS = 1000  # servents whose pushes we bring by UDP
CACHES_ASKED = 5  # UDP host caches at a time
TEST_EVERY = 60.0  # seconds between tests whether datagrams reach us, as long as none came out well


class Ear(Protocol):
    """Who hears what comes by UDP for us."""

    @property
    def address(self) -> Address | None:
        """Where others can dial us; None when they cannot."""

    def visited(self, head: Descriptor, query: Query, asker: Address, host: str) -> None:
        """Somebody asks, who sees us at `host`."""

    def found(self, head: Descriptor, hit: QueryHit, teller: Address) -> None:
        """A hit for a question of ours, from there."""

    def pushed(self, push: Push, teller: Address) -> None:
        """Somebody wants us to connect."""


class Udp:
    """`await open()` before the rest. It is the `Surroundings` of probing, too."""

    def __init__(self, port: Port, router: Router, hosts: Hosts, ear: Ear, dice: Random) -> None:
        clock = asyncio.get_running_loop().time
        self._port, self._router, self._hosts, self._ear = port, router, hosts, ear
        self._clock, self._dice = clock, dice
        self._links: set[Link] = set()  # that we have spoken to
        self._test_due = clock()
        self._ways: OrderedDict[bytes, Address] = OrderedDict()  # servent -> who brings it a push
        keys = Keys(clock())
        self._datagrams = Datagrams(port.send_datagram, clock)
        self.probing = Probing(self._datagrams, self, keys, clock, dice)
        self._guesses = GuessHosts()
        self.guessing = Guessing(self._datagrams, self._guesses, self._is_us, clock, dice)
        self._server = GuessServer(self._datagrams, self, keys, self._spread)
        self.offers = Offers(self._datagrams.send, clock())
        self.claims = Claims(keys, self._datagrams.send)
        self.proxies: Proxies[Link] = Proxies(router.guid)
        self._unasked = OutOfBand(
            self._datagrams,
            self.offers,
            self.claims,
            self._found,
            ear.pushed,
            router.guid,
            self.leaf_of,
        )
        router.changed.append(self._changed)

    async def open(self, named: Sequence[Address]) -> None:
        """Listen, and ask who was named, and some whom we know, for more. Raises PortTakenError."""
        self._port.route_datagrams(DatagramGuest.GNUTELLA, self._datagrams.got)
        await self._port.open_datagrams()
        self.probing.ask_host_caches([host for host in named if host.dialable][:CACHES_ASKED])
        self.ask_for_hosts()

    def ask_for_hosts(self) -> None:
        """There are too few neighbours: ask some whom we know."""
        caches = self._hosts.udp_caches(time.time(), self._dice, CACHES_ASKED)
        self.probing.ask_host_caches(caches)

    # Links

    def _changed(self) -> None:
        links = set(self._router.links)
        for gone in self._links - links:
            self.proxies.forget(gone)
        for link in links - self._links:
            self._meet(link)
        self._links = links
        self.guessing.port = self._port.number if self.ultrapeer else 0

    def _meet(self, link: Link) -> None:
        """A new neighbour: what we want of it, and what it is good for."""
        agreement = link.agreement
        if agreement.guess and agreement.address is not None:
            self._guesses.told(agreement.address, link.remote.host)
        if not agreement.vendor_messages or link.theirs is not Role.ULTRAPEER:
            return
        if self._ear.address is None:
            link.tell(self.proxies.request(link))
        else:
            self._test(link)

    def test(self) -> None:
        """Again, now and then: who was asked for hosts by UDP can tell us nothing for a while."""
        if self._clock() < self._test_due or self._ear.address is None:
            return
        self._test_due = self._clock() + TEST_EVERY
        for link in self._links:
            if link.agreement.vendor_messages and link.theirs is Role.ULTRAPEER:
                self._test(link)

    def _test(self, link: Link) -> None:
        if not self.probing.reachable and not self._datagrams.wrote_to(link.remote):
            self._say(link, self.probing.test(self._port.number))

    def _say(self, link: Link, message: VendorMessage) -> None:
        link.tell(Descriptor(new_guid(self._dice), Kind.VENDOR, 1, 0, message.encode()))

    def vendor(self, head: Descriptor, message: VendorMessage | Vendor, link: Link) -> None:
        """What came over a link."""
        match message:
            case UdpConnectBack():
                self.probing.connect_back(message, head.guid, link.remote.host)
            case PushProxyRequest() if link.theirs is Role.LEAF:
                here = Address(link.host, self._port.number)
                answer = self.proxies.asked(link, head.guid, here)
                if answer is not None:
                    link.tell(answer)
            case PushProxyAck():
                self.proxies.agreed(link, head.guid, message, link.remote.host)
            case _:
                pass

    # Questions and hits

    def asking(self, query: Query, wanted: int) -> tuple[Query, bytes]:
        """A question of ours as it leaves, and its GUID: hits come by UDP where they can. `asked` ends it."""
        here = self._ear.address
        if here is None or not self.probing.reachable:
            return query, new_guid(self._dice)
        try:
            marked, guid = asking_for_offers(query, here, self._dice)
            self.claims.watch(guid, wanted)
        except LocalProtocolError:  # no IPv4 address, or too many at a time
            return query, new_guid(self._dice)
        return marked, guid

    def asked(self, guid: bytes) -> None:
        self.claims.forget(guid)

    def offer(self, head: Descriptor, query: Query, hits: Sequence[QueryHit], zone: Zone) -> bool:
        """Offer hits by UDP to who wants that; False: they go back over the link."""
        if not self.probing.reachable:
            return False
        return self.offers.offer(head, query, hits, zone, self._clock())

    def _found(self, head: Descriptor, hit: QueryHit, sender: Address) -> None:
        self.came(head, hit, sender)
        self._ear.found(head, hit, sender)

    def came(self, head: Descriptor, hit: QueryHit, sender: Address) -> None:
        """A hit by UDP: whoever brought it brings a push to where it came from."""
        if not head.hops:
            return
        remember(self._ways, hit.servent, sender, MOST_WAYS)

    def _spread(self, head: Descriptor, query: Query, way: Way) -> bool:
        new = self._router.visit(head, query, way)
        if new:
            self._ear.visited(head, query, way.address, self._seen_by(way.address))
        return new

    # Pushes

    def send_push(self, push: Push) -> bool:
        """To the ultrapeer that gave us a hit of that servent by UDP."""
        sender = self._ways.get(push.servent)
        if sender is None:
            return False
        head = Descriptor(new_guid(self._dice), Kind.PUSH, 1, 0, push.encode())
        self._datagrams.send(head, sender)
        return True

    def leaf_of(self, servent: bytes) -> Link | None:
        """A leaf of ours to which we bring pushes."""
        return self.proxies.leaf(servent) or self._router.leaf_of(servent)

    # What probing asks

    @property
    def ultrapeer(self) -> bool:
        """Whether we are one now."""
        return self._router.role is Role.ULTRAPEER

    def pong(self, asker: Address) -> Pong:
        """We ourselves, as we are told to somebody at this address."""
        return self._router.pong(self._seen_by(asker))

    def ultrapeers(self, n: int, *, guess: bool) -> list[Address]:
        """Ultrapeers with places free, or (`guess`) that answer queries by UDP, the best first."""
        links = self._router.peers()
        near = [link.agreement.address for link in links if link.agreement.guess or not guess]
        known = [address for address in near if address is not None]
        return list(dict.fromkeys([*known, *(self._guesses.proven(n) if guess else [])]))[:n]

    def told(self, address: Address, teller: Address, *, guess: bool) -> None:
        """`teller` says that an ultrapeer is there, and (`guess`) that it answers queries by UDP."""
        zone = zone_of(teller.host)
        self._hosts.tell(address, teller.host, time.time(), zone=zone, hub=True)
        if guess:
            self._guesses.told(address, teller.host)

    def _seen_by(self, asker: Address) -> str:
        """Of our addresses, the one that this asker can use; where we have one only, it is that."""
        here = self._ear.address
        return self._port.bound or (here.host if here else asker.host)

    def _is_us(self, address: Address) -> bool:
        here = self._ear.address
        return address.port == self._port.number and (
            address.host == self._port.bound or (here is not None and address == here)
        )
