"""A super node's links to others at work: dialed or taken, tested, believed and told of.

How many there are and which is up to `links`, who is believed to `trust`; here both meet the connections.

The one hard thing: a link is provisional until our own test of it. Until then it is sent no queries, nobody
is told of it, and the hosts that it names wait.
"""

import asyncio
import logging
from collections.abc import Iterable
from random import Random
from typing import Protocol

from p2pswarm.errors import RemoteError
from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.overlay.supernode.asking import Role
from p2pswarm.overlay.supernode.home import Home
from p2pswarm.overlay.supernode.known import Known
from p2pswarm.overlay.supernode.link import Hearer, Link
from p2pswarm.overlay.supernode.links import Linking
from p2pswarm.overlay.supernode.meeting import Meeting, TurnedDownError, greet
from p2pswarm.overlay.supernode.promotion import Peer
from p2pswarm.overlay.supernode.testing import Nonces
from p2pswarm.overlay.supernode.trust import Trust
from p2pswarm.wire.supernode.hello import Bye, Hello, Reason, Refuse, Want, Welcome
from p2pswarm.wire.supernode.hosts import HOSTS_MOST, Entry, Hosts
from p2pswarm.wire.supernode.keeping import Ping
from p2pswarm.wire.supernode.testing import Invite, Test, Verdict

__all__ = ["Owner", "Peers"]

log = logging.getLogger(__name__)

PING_EVERY = 10.0  # seconds between questions to links, how full they are
UNKNOWN = 90  # percent: how full those may be that we are not linked to, in a crowd mostly
INVITED_EVERY = 10.0  # seconds: how often one link may test us


class Owner(Hearer, Protocol):
    """The super node whose links these are; it hears what they say."""

    def joined(self, link: Link) -> None:
        """It is linked to us, and not believed yet."""

    def confirmed(self, link: Link, entries: tuple[Entry, ...]) -> None:
        """It is a super node as it says; and how others are told of it."""


class Peers:
    """`refuses` and `welcomed`, or `dial`; `tick` now and then; `left` at the end of each link."""

    def __init__(
        self, owner: Owner, home: Home, port: Port, known: Known, dice: Random, nonces: Nonces
    ) -> None:
        self._owner, self._home, self._us = owner, home, home.us
        self._port, self._known, self._nonces = port, known, nonces
        self._clock = asyncio.get_running_loop().time
        self._linking: Linking[Link] = Linking(home.us.node, known, home.us.options, dice)
        self._trust: Trust[Link] = Trust(home.us.options, dice)
        self.links: dict[Link, int] = {}
        """And how full each is, in percent."""
        # Since when; in an order that a laboratory can repeat.
        self._believed: dict[Link, float] = {}
        self._invited: dict[Link, float] = {}  # and when it may again
        self._named: dict[Link, bytes] = {}  # hosts that one named before we believed it
        self._next_ping = self._clock()

    def __len__(self) -> int:
        return len(self.links)

    @property
    def believed(self) -> list[Peer]:
        return [Peer(self.links[link], since) for link, since in self._believed.items()]

    def hosts(self) -> tuple[Entry, ...]:
        """Super nodes to go to: those we are linked to, and others that answered us lately.

        Not who is to be tested yet, or failed: whoever is told goes there.
        """
        linked, now = self._entries(self._believed), self._clock()
        have = {link.address.normal for link in self.links if link.address is not None}
        others = [each for each in self._known.lately() if each not in have]
        lately = [Entry(each, 1, UNKNOWN) for each in others if self._trust.may_link(each, now)]
        return (*linked, *lately)[:HOSTS_MOST]

    def _entries(self, links: Iterable[Link]) -> tuple[Entry, ...]:
        at = ((link.address, self.links[link]) for link in links)
        return tuple(Entry(address, 0, load) for address, load in at if address is not None)

    def send_hosts(self, link: Link) -> None:
        link.send(Hosts(self.hosts()).encode().encode())

    def tick(self, now: float) -> tuple[Address, ...]:
        """Test who is to be tested, and ask all how full they are. Returns whom to `dial`."""
        for link in self._trust.step(now):
            link.send(Invite().encode().encode())
        for link in self._trust.silent(now):
            link.part(Bye("you did not answer our test").encode().encode(), "it is not tested")
        if now >= self._next_ping:
            self._next_ping = now + PING_EVERY
            for link in list(self.links):  # one that does not read may leave over it
                link.send(Ping().encode().encode())
        return self._linking.step(now) if now >= self._linking.due else ()

    # How a link begins and ends

    async def dial(self, address: Address) -> None:
        try:
            meeting, welcome = await greet(self._port, address, self._us.hello(Want.LINK))
        except TurnedDownError as error:
            self._refused(address, error.refusal)
        except RemoteError as error:
            log.debug("supernode: %s", error)
            self._linking.failed(address, self._clock())
        else:
            self._arrived(address, meeting, welcome)

    def _refused(self, address: Address, refusal: Refuse) -> None:
        self._home.told(refusal.hosts, address)
        if refusal.reason is Reason.SELF:
            self._home.ourselves(address)
        full = refusal.reason in {Reason.FULL, Reason.NOT_WANTED}
        self._linking.failed(address, self._clock(), full=full)

    def _arrived(self, address: Address, meeting: Meeting, welcome: Welcome) -> None:
        self._us.seen(meeting.stream.remote, welcome.you.host)
        if not welcome.supernode:
            meeting.close()
            self._linking.failed(address, self._clock())
            return
        link = meeting.stay()
        load = 100 * welcome.children // max(welcome.children + welcome.room, 1)
        if self._linked(link, welcome.node, address, load, dialed=True):
            self.send_hosts(link)
            link.listen(self._owner)

    def refuses(self, link: Link, hello: Hello) -> Reason | None:
        """Why somebody who wants to be linked may not be; None when it may."""
        address, now = Address(link.remote.host, hello.port), self._clock()
        reason = self._linking.refuses(hello.node, address, now)
        if reason is None and not self._trust.may_link(address, now):
            return Reason.NOT_WANTED
        return reason

    def welcomed(self, link: Link, hello: Hello) -> None:
        """Somebody who dialed us is linked from now on."""
        link.address = Address(link.remote.host, hello.port)
        self._linked(link, hello.node, link.address, 100, dialed=False)

    def _linked(
        self, link: Link, node: bytes, address: Address, load: int, *, dialed: bool
    ) -> bool:
        """Whether it stays."""
        now, link.role, link.node = self._clock(), Role.LINK, node
        closing = self._linking.linked(link, node, address, now, dialed=dialed)
        for each in closing:
            each.part(Bye("another link takes the place").encode().encode(), "exchanged")
        if link in closing:
            return False
        self.links[link] = load
        link.send(Ping().encode().encode())
        self._owner.joined(link)
        self._trust.linked(link, node, address, now)
        self._confirm(link)
        return True

    def left(self, link: Link) -> None:
        if link in self.links:
            del self.links[link]
            for table in (self._named, self._invited, self._believed):
                table.pop(link, None)
            self._linking.unlinked(link)
            self._trust.left(link)

    # Whom we believe

    def testing(self, link: Link) -> bool:
        """Whether we are about to test it."""
        return self._trust.testing(link)

    def unheard(self, link: Link) -> None:
        """It could not be tested now."""
        self._trust.unheard(link, self._clock())

    def verdict(self, link: Link, verdict: Verdict) -> None:
        """What our test of it gave."""
        reachable, rate = verdict.reachable, verdict.rate
        if self._trust.verdict(link, self._clock(), reachable=reachable, rate=rate):
            self._confirm(link)
        else:
            log.debug("supernode: %s is no super node for us: %s", link.remote, verdict.text)
            link.part(Bye("you did not pass our test").encode().encode(), "it failed our test")

    def _confirm(self, link: Link) -> None:
        if not self._trust.trusted(link) or link in self._believed:
            return
        alone = not self._believed
        self._believed[link] = self._clock()
        if link.address is not None:  # our test has dialed it there, if we have not
            self._known.answered(link.address)
        self._owner.confirmed(link, self._entries([link]))
        named = self._named.pop(link, None)
        if named is not None:
            self._home.told(Hosts.read(named).entries, link.remote)
        if alone:  # what we asked before went nowhere
            self._home.moved()

    # What they say

    def got_hosts(self, link: Link, body: bytes) -> None:
        """The first list comes before the other side was tested, and then waits for that."""
        hosts = Hosts.read(body)
        if self._trust.trusted(link):
            self._home.told(hosts.entries, link.remote)
        else:
            self._named[link] = body

    def got_load(self, link: Link, load: int) -> None:
        """It says how full it is."""
        if link in self.links:
            self.links[link] = load

    def got_invite(self, link: Link, now: float) -> None:
        """It would test us. Nonces are few, and nobody may use up those that others have."""
        if now >= self._invited.get(link, now):
            self._invited[link] = now + INVITED_EVERY
            link.send(Test(self._us.port, self._nonces.give(now)).encode().encode())
