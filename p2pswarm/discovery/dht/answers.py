"""What other nodes are answered (BEP 5).

A query that we do not know, but that is about a target or an info-hash, is answered as find_node, so that
what others invent tomorrow still finds its way past us. Other rooms answer methods of their own (`route`).

The one hard thing: an answer is larger than its question, and must be carried in one piece. So what is told
of peers is cut to what is left of 1400 bytes. Sans-IO.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random

from p2pswarm.discovery.dht.bloom import scraped
from p2pswarm.discovery.dht.network import Network
from p2pswarm.discovery.dht.store import PeerStore
from p2pswarm.discovery.dht.tokens import Tokens
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.wire.krpc import (
    ANNOUNCE_PEER,
    FIND_NODE,
    GET_PEERS,
    PING,
    Error,
    ErrorCode,
    Family,
    Query,
    Reply,
    family_of,
)

__all__ = ["MAX_REPLY", "Answers", "Handler"]

MAX_REPLY = 1400  # bytes: what every network carries whole
_MOST_PEERS = 100  # libtorrent's figure
_EACH_PEER = {Family.IPV4: 8, Family.IPV6: 21}  # bytes, bencoded

Handler = Callable[[Query, Address], Reply | Error]
"""One query and where it came from. Who is addressed, who answers and so on is put in afterwards."""


class Answers:
    """`tokens` and `store` are the node's; `noted` hears of every peer that announces itself to us."""

    def __init__(
        self,
        networks: Mapping[Family, Network],
        tokens: Tokens,
        store: PeerStore,
        dice: Random,
        clock: Callable[[], float],
        noted: Callable[[InfoHash, Address], None],
    ) -> None:
        self._networks, self._tokens, self._store = networks, tokens, store
        self._dice, self._clock, self._noted = dice, clock, noted
        self._handlers: dict[bytes, Handler] = {
            PING: lambda query, address: Reply(),
            FIND_NODE: self._find_node,
            GET_PEERS: self._get_peers,
            ANNOUNCE_PEER: self._announce_peer,
        }

    def route(self, method: bytes, handler: Handler) -> None:
        """Who answers queries of this method."""
        self._handlers[method] = handler

    def answer(self, query: Query, address: Address) -> Reply | Error:
        handler = self._handlers.get(query.method)
        if handler is None:
            known = query.target is not None or query.info_hash is not None
            handler = self._find_node if known else _unknown
        answer = handler(query, address)
        if isinstance(answer, Error):
            return replace(answer, transaction=query.transaction)
        own = self._networks[family_of(address)].id
        return replace(answer, transaction=query.transaction, id=own, external=address)

    def nearest(self, query: Query, address: Address) -> Reply:
        """The nodes nearest to what it is about, of the networks it wants, and a token."""
        target = query.target or query.info_hash
        assert target is not None, "the handler has looked"
        want = query.want or {family_of(address)}
        nodes = {
            family: tuple(network.table.nearest(target))
            for family, network in self._networks.items()
            if family in want
        }
        return Reply(
            nodes=nodes.get(Family.IPV4),
            nodes6=nodes.get(Family.IPV6),
            token=self._tokens.make(address, self._clock()),
        )

    def _find_node(self, query: Query, address: Address) -> Reply | Error:
        target = query.target or query.info_hash
        if target is None:
            return _missing("target")
        return replace(self.nearest(query, address), token=None)

    def _get_peers(self, query: Query, address: Address) -> Reply | Error:
        if query.info_hash is None:
            return _missing("info_hash")
        reply = self.nearest(query, address)
        family, now = family_of(address), self._clock()
        if query.scrape:
            seeds, others = scraped(self._store.members(query.info_hash, family, now))
            return replace(reply, seeds=seeds, peers=others)
        most = min(_MOST_PEERS, (MAX_REPLY - _size(reply, query, address)) // _EACH_PEER[family])
        peers = self._store.peers(
            query.info_hash, family, now, self._dice, most, noseed=query.noseed
        )
        return replace(reply, values=tuple(peers)) if peers else reply

    def _announce_peer(self, query: Query, address: Address) -> Reply | Error:
        if query.info_hash is None:
            return _missing("info_hash")
        now = self._clock()
        if query.token is None or not self._tokens.valid(query.token, address, now):
            return Error(code=ErrorCode.PROTOCOL, text="bad token")
        peer = address if query.implied_port else Address(address.host, query.port or 0)
        if not peer.dialable:
            return _missing("port")
        self._store.add(query.info_hash, peer, now, seed=query.seed)
        self._noted(query.info_hash, peer)
        return Reply()


def _size(reply: Reply, query: Query, address: Address) -> int:
    """Bytes of it once it is addressed, with an empty list of peers."""
    addressed = replace(reply, transaction=query.transaction, external=address, values=())
    return len(addressed.encode())


def _missing(what: str) -> Error:
    return Error(code=ErrorCode.PROTOCOL, text=f"{what} is missing or invalid")


def _unknown(query: Query, address: Address) -> Error:
    return Error(code=ErrorCode.METHOD_UNKNOWN, text="method unknown")
