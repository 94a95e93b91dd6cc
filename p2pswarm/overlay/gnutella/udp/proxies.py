"""Push proxies: who brings pushes to us, and to which leaves we bring them (push_proxy).

A servent that nobody can connect to asks its ultrapeers, and names those that agreed in its hits. Sans-IO.
"""

from collections.abc import Hashable
from typing import Generic, TypeVar

from p2pswarm.formats.ids import Address
from p2pswarm.wire.gnutella.descriptor import Descriptor, Guid, Kind
from p2pswarm.wire.gnutella.vendor import PushProxyAck, PushProxyRequest

__all__ = ["Proxies"]

MOST_TOLD = 4  # proxies named in a hit, as other servents do; one that is there is enough

Link = TypeVar("Link", bound=Hashable)


class Proxies(Generic[Link]):
    """Both roles. `forget` each link that ends; nothing outlives its link."""

    def __init__(self, servent: Guid) -> None:
        self._servent = servent
        self._asked: dict[Link, Address | None] = {}  # the address once it agreed
        self._leaves: dict[Guid, Link] = {}

    # As who cannot be connected to

    def request(self, link: Link) -> Descriptor:
        """What to say to an ultrapeer: its GUID is our servent's."""
        self._asked.setdefault(link, None)
        return Descriptor(self._servent, Kind.VENDOR, 1, 0, PushProxyRequest().encode())

    def agreed(self, link: Link, guid: Guid, ack: PushProxyAck, host: str) -> bool:
        """The ultrapeer on `host` will; False when it was not asked.

        Whatever other address it names: this one is known to be its own, and we send nobody anywhere else.
        """
        address = Address(host, ack.port).normal
        ip = address.ip
        if link not in self._asked or guid != self._servent or not address.dialable:
            return False
        if ip is None or ip.version != 4:  # hits have no place for another
            return False
        self._asked[link] = address
        return True

    def proxies(self) -> tuple[Address, ...]:
        """Who brings pushes to us, for our hits and for HTTP."""
        agreed = [address for address in self._asked.values() if address is not None]
        return tuple(agreed[:MOST_TOLD])

    # As ultrapeer

    def asked(self, link: Link, guid: Guid, at: Address) -> Descriptor | None:
        """A leaf asks; the answer, with the address `at` which we can be reached, or None.

        A servent has one link here: who says a GUID that another one has does not get its pushes.
        """
        if self._leaves.get(guid, link) != link or guid == self._servent:
            return None
        for other in [known for known, leaf in self._leaves.items() if leaf == link]:
            del self._leaves[other]
        self._leaves[guid] = link
        ack = PushProxyAck(at.port, at.host)  # version 2 to everybody, as others do
        return Descriptor(guid, Kind.VENDOR, 1, 0, ack.encode())

    def leaf(self, servent: Guid) -> Link | None:
        """The link to a servent that wants its pushes brought."""
        return self._leaves.get(servent)

    def forget(self, link: Link) -> None:
        self._asked.pop(link, None)
        for guid in [known for known, leaf in self._leaves.items() if leaf == link]:
            del self._leaves[guid]
