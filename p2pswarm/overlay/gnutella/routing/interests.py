"""Who wants to hear which queries: our route table for our neighbours, and theirs for us (QRP).

A leaf tells its ultrapeers the words of its files; an ultrapeer tells other ultrapeers the words of its own
and of all its leaves. Our own are gathered from the catalog a page at a time, in the background.

The one hard thing: a table says nothing until it is whole, neither ours nor theirs. Until then everything may
be there, so that nothing is missed while a large catalog is read. Words that are gone stay until a new table
has been gathered.
"""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from p2pswarm.errors import FormatError, RemoteProtocolError
from p2pswarm.formats.ids import InfoHash
from p2pswarm.formats.urns import btih_urn, read_urn, sha1_urn
from p2pswarm.overlay.catalog import Catalog
from p2pswarm.overlay.gnutella.links.agreement import Role
from p2pswarm.overlay.gnutella.links.link import Link
from p2pswarm.overlay.limits import Tokens
from p2pswarm.overlay.tables import Shared
from p2pswarm.wire.gnutella.descriptor import Descriptor, Kind, new_guid
from p2pswarm.wire.gnutella.qrp import (
    USUAL_SIZE,
    QueryTable,
    TableReader,
    patches,
    size_for,
    words_of_query,
)
from p2pswarm.wire.gnutella.query import Query
from p2pswarm.wire.gnutella.routes import Patch, read_routes

__all__ = ["Interests", "Words"]

PAGE = 200  # files
# Programs that leave hashes out of their tables, and answer a query for one.
WITHOUT_URNS = ("gtk-gnutella/", "LimeWire/")
# Tables that one neighbour is sent: one a minute (ultrapeer query routing, 2.2), but the first few as soon as
# there are some, because a node that has just started learns what it shares and who its leaves are.
TABLES = (1 / 60, 6.0)


class Words(NamedTuple):
    """What a query asks for, as tables know it."""

    words: tuple[str, ...]
    urns: tuple[str, ...]


class _Told:
    """What one neighbour was told."""

    def __init__(self, now: float) -> None:
        self.tokens = Tokens(*TABLES, now)
        self.version = -1
        self.table: QueryTable | None = None


class Interests:
    """`follow` a catalog in a task of the owner's, `tick` once a second.

    Until then `own` is what we share: nothing, or the words of somebody who has no catalog.
    """

    def __init__(self, dice: Random, own: QueryTable | None = None) -> None:
        self._dice = dice
        self._own: QueryTable | None = own or QueryTable()  # None: not known yet
        self._version = 0  # of what neighbours are told
        self._readers: dict[Link, TableReader] = {}
        self._told: dict[Link, _Told] = {}
        self._resized: dict[Link, tuple[QueryTable, QueryTable]] = {}  # as they came, as ours are
        self._all: tuple[int, QueryTable] | None = None  # with our leaves', and the version of it
        self._size = USUAL_SIZE
        self._gathering = QueryTable()
        self._listed = self._noted = 0  # numbers of the last files that were gathered
        self._gone = False

    # What a query asks

    def words(self, query: Query) -> Words:
        urns = [sha1_urn(query.sha1)] if query.sha1 else []
        urns += [btih_urn(each) for each in map(_info_hash, query.urns) if each]
        return Words(tuple(words_of_query(query.text)), tuple(urns))

    def ours(self, words: Words) -> bool:
        """Whether we may have it."""
        return self._own is None or self._own.may_have(*words)

    def wants(self, link: Link, words: Words) -> bool | None:
        """Whether it may be there, by the table of this neighbour; None when that tells nothing."""
        reader = self._readers.get(link)
        table = None if reader is None else reader.table
        if table is None or (words.urns and link.agreement.agent.startswith(WITHOUT_URNS)):
            return None
        return table.may_have(*words)

    # Neighbours

    def joined(self, link: Link, now: float) -> None:
        if link.theirs is not Role.PEER and link.agreement.ours is Role.ULTRAPEER:
            self._readers[link] = TableReader()
        if link.agreement.query_routing:
            self._told[link] = _Told(now)
            self._tell(link, now)

    def forget(self, link: Link) -> None:
        self._told.pop(link, None)
        self._resized.pop(link, None)
        if self._readers.pop(link, None) is not None and link.theirs is Role.LEAF:
            self._version += 1

    def heard(self, link: Link, payload: bytes, now: float) -> None:
        """A part of a table. Raises RemoteProtocolError, as often as a neighbour may be forgiven.

        The proposal sends one a minute at most, but an ultrapeer of GnutellaBun's tells all of its table anew
        whenever a leaf comes or goes. Who sends more than we read is not parted with: until it begins anew,
        everything may be there.
        """
        message, reader = read_routes(payload), self._readers.get(link)
        if message is None or reader is None:
            return
        if isinstance(message, Patch) and not reader.begun:
            return
        try:
            work = reader.work(message)
            if work and not link.allowance.patch(now, work):
                self._readers[link] = TableReader()
                changed = True
            else:
                changed = reader.feed(message)
        except RemoteProtocolError as error:  # the next patch would rely on this one
            link.bye(413, str(error))
            return
        if changed and link.theirs is Role.LEAF:
            self._version += 1

    def tick(self, now: float) -> None:
        for link in list(self._told):
            self._tell(link, now)

    def _tell(self, link: Link, now: float) -> None:
        """What is new in our table, if there is anything and it is time."""
        told = self._told.get(link)
        if told is None or self._own is None or told.version == self._version:
            return
        if not told.tokens.has(now):
            return
        table = self._table_for(link)
        messages = patches(told.table, table)
        if messages:
            told.tokens.take(now)
        told.version, told.table = self._version, table
        for message in messages:
            guid = new_guid(self._dice)
            link.tell(Descriptor(guid, Kind.ROUTES, 1, 0, message.encode()))

    def _table_for(self, link: Link) -> QueryTable:
        """A copy: what was sent is what the next patch is made from."""
        assert self._own is not None
        if link.agreement.ours is Role.LEAF:
            return QueryTable(self._own.size, self._own.slots)
        if self._all is None or self._all[0] != self._version:
            self._all = self._version, self._with_leaves(self._own)
        return self._all[1]

    def _with_leaves(self, own: QueryTable) -> QueryTable:
        table = QueryTable(own.size, own.slots)
        for link, reader in self._readers.items():
            if link.theirs is Role.LEAF and reader.table is not None:
                table.merge(self._as_ours(link, reader.table))
        return table

    def _as_ours(self, link: Link, table: QueryTable) -> QueryTable:
        """Kept, because a leaf decides how large its table is, and there are a hundred leaves."""
        known = self._resized.get(link)
        if known is None or known[0] is not table or known[1].size != self._size:
            known = self._resized[link] = table, table.resized(self._size)
        return known[1]

    # Our files

    async def follow(self, catalog: Catalog) -> None:
        """Keep our table true to the catalog, until cancelled. Raises DiskError."""
        self._own = None
        stop = catalog.watch(self._withdraw)
        try:
            while True:
                version = catalog.version
                if not await self._gather(catalog):
                    self._publish()
                    await catalog.newer_than(version)
        finally:
            stop()

    def _withdraw(self, files: Sequence[Shared]) -> None:
        self._gone = self._gone or bool(files)

    async def _gather(self, catalog: Catalog) -> bool:
        """The next page; False when there is none."""
        if self._gone or self._gathering.size != self._size:
            self._gone = False
            self._gathering, self._listed, self._noted = QueryTable(self._size), 0, 0
        named = await catalog.listed(self._listed, PAGE)
        for shared in named:
            self._gathering.add_name(shared.name)
            self._listed = shared.id
        noted = await catalog.noted(self._noted, PAGE)
        for shared in noted:
            if shared.sha1 is not None:
                self._gathering.add_urn(sha1_urn(shared.sha1))
            if shared.info_hash is not None:
                self._gathering.add_urn(btih_urn(shared.info_hash))
            self._noted = shared.id
        self._size = max(self._size, size_for(self._gathering.count))
        return bool(named or noted) or self._gone or self._gathering.size != self._size

    def _publish(self) -> None:
        if self._own != self._gathering:
            self._own = QueryTable(self._gathering.size, self._gathering.slots)
            self._version += 1


def _info_hash(urn: str) -> InfoHash | None:
    """Ours alone know what to do with it."""
    try:
        return read_urn(urn).info_hash
    except FormatError:
        return None
