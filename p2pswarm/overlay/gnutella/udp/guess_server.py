"""Queries by UDP, as an ultrapeer answers them: its own files and those of its leaves (GUESS 0.2).

Who asks shows a key that we told that address before; without one it gets a key instead of an answer. A
query is acknowledged with a pong that names other ultrapeers, and whatever is found goes back by UDP over a
`Way`.

The one hard thing: the query goes on to leaves. What was for us (the key) is taken out, and with it the
wish for out-of-band hits when the address for them is not the one that asks, or leaves would write to a
victim.
"""

from collections.abc import Callable
from dataclasses import replace

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.overlay.gnutella.udp.datagrams import Datagrams, Heard
from p2pswarm.overlay.gnutella.udp.keys import Keys
from p2pswarm.overlay.gnutella.udp.parcels import parcels
from p2pswarm.overlay.gnutella.udp.probing import Surroundings, hosts_for
from p2pswarm.wire.gnutella.descriptor import HEADER_SIZE, Descriptor, Kind, oob_address
from p2pswarm.wire.gnutella.hit import QueryHit
from p2pswarm.wire.gnutella.pings import Pong, pong_ggep
from p2pswarm.wire.gnutella.query import Query, QueryFlags

__all__ = ["GuessServer", "Spread", "Way"]

MOST_FOR_A_QUERY = 65536  # bytes of hits; 200 results are half of it
MOST_HIT = 8192  # bytes of a leaf's hit that goes into one datagram
LIFETIME = 60.0  # seconds for which hits go back
_FOR_US = ("QK", "SCP", "Z")


class Way:
    """The way back to who asked by UDP: takes the place of a link in the table of routes."""

    def __init__(self, datagrams: Datagrams, address: Address) -> None:
        self.address = address
        self._datagrams = datagrams
        self._until = datagrams.clock() + LIFETIME
        self._left = MOST_FOR_A_QUERY

    def tell(self, message: Descriptor) -> bool:
        """A hit: a leaf's, which has made a hop, or our own, which goes in small pieces.

        False when it is too large, too late or one too many.
        """
        if message.kind != Kind.HIT or self._datagrams.clock() > self._until:
            return False
        if message.hops:
            return self._send(message)
        pieces = [piece.encode() for piece in parcels(QueryHit.read(message.payload))]
        return all(self._send(replace(message, payload=piece)) for piece in pieces)

    def _send(self, message: Descriptor) -> bool:
        size = HEADER_SIZE + len(message.payload)
        if size > min(MOST_HIT, self._left):
            return False
        self._left -= size
        self._datagrams.send(message, self.address)
        return True


Spread = Callable[[Descriptor, Query, Way], bool]
"""Ask our own files and the leaves that may have it; what is found goes over the way. False: asked before."""


class GuessServer:
    """Takes care of QUERY."""

    def __init__(
        self, datagrams: Datagrams, around: Surroundings, keys: Keys, spread: Spread
    ) -> None:
        self._datagrams, self._around, self._keys = datagrams, around, keys
        self._spread = spread
        datagrams.route(Kind.QUERY, self._query)

    def _query(self, heard: Heard) -> None:
        if not self._around.ultrapeer or not heard.head.ttl:
            self._datagrams.dropped["not wanted"] += 1
            return
        query = Query.read(heard.head.payload)
        if not self._keys.accepts(query.ggep.get("QK", b""), heard.address, heard.now):
            self._refuse(heard)
            return
        self._datagrams.senders.prove(heard.address, heard.now)
        wants_hosts = "SCP" in query.ggep
        query = _for_others(query, heard)
        # It goes to leaves and no farther, whatever its TTL was.
        head = Descriptor(heard.head.guid, Kind.QUERY, 1, 0, _again(query))
        if self._spread(head, query, Way(self._datagrams, heard.address)):
            self._acknowledge(heard, wants_hosts)
        else:
            self._datagrams.dropped["duplicates"] += 1

    def _refuse(self, heard: Heard) -> None:
        """A key instead of an answer (query_keys, 2.x.3)."""
        pong = self._around.pong(heard.address)
        key = self._keys.issue(heard.address, heard.now)
        pong.ggep = {**pong.ggep, **pong_ggep(guess=True, key=key)}
        self._datagrams.dropped["no key"] += 1
        self._datagrams.answer(heard, Descriptor(heard.head.guid, Kind.PONG, 1, 0, pong.encode()))

    def _acknowledge(self, heard: Heard, wants_hosts: bool) -> None:
        """A pong for another ultrapeer, for us when we know none (GUESS, 2.2.1); with a list if wanted."""
        hosts = hosts_for(heard.address, self._around, guess=True)
        ggep = pong_ggep(guess=True, hosts=hosts if wants_hosts else None)
        if hosts:
            pong = Pong(hosts[0], 0, 0, ggep)
        else:
            ours = self._around.pong(heard.address)
            pong = Pong(ours.address, ours.files, ours.kib, {**ours.ggep, **ggep})
        self._datagrams.answer(heard, Descriptor(heard.head.guid, Kind.PONG, 1, 0, pong.encode()))


def _for_others(query: Query, heard: Heard) -> Query:
    """As it may go on: without what was for us."""
    ggep = {name: value for name, value in query.ggep.items() if name not in _FOR_US}
    flags = query.flags
    if QueryFlags.OOB in flags and oob_address(heard.head.guid) != heard.address:
        flags &= ~QueryFlags.OOB
        ggep.pop("SO", None)
    return replace(query, ggep=ggep, flags=flags)


def _again(query: Query) -> bytes:
    """As we write it. Raises RemoteProtocolError for what we read but would not say."""
    try:
        return query.encode()
    except LocalProtocolError as error:
        raise RemoteProtocolError(f"a query that cannot be passed on: {error}") from error
