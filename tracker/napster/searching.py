"""Answers about files: keyword search, lookup by hash, and the list of what somebody shares.

A hit names its owner's address as the server sees it. Whoever sits on the server's own machine is reached by
others under the address at which they reach the server.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from p2pswarm.formats.words import Asked, Kind
from p2pswarm.wire.napster import (
    NO_MD5,
    Bounds,
    Browse,
    BrowseEnd,
    BrowseResult,
    HashEnd,
    HashLookup,
    HashMatch,
    HashSearch,
    HitNote,
    Message,
    NoSuch,
    Search,
    SearchEnd,
    SearchResult,
    SignOff,
)
from tracker.napster.audit import Audit
from tracker.napster.index import FileIndex, Found, Query, SharedFile, readable
from tracker.napster.people import Duties, Member, People
from tracker.napster.sharing import digest

__all__ = ["Searching", "seen_by"]

_MOST = 100  # hits of one search; OpenNap's limit
_LONGEST_LIST = 5000  # files of one browse

# OpenNap's content types, and our own kinds beside them.
_TYPES = {kind.value: kind for kind in Kind} | {
    "mp3": Kind.AUDIO,
    "text": Kind.DOCUMENT,
    "application": Kind.SOFTWARE,
}


class Searching:
    """Messages 200, 215, 211, and our search by hash."""

    def __init__(self, index: FileIndex, people: People, audit: Audit) -> None:
        self._index, self._people, self._audit = index, people, audit
        self.count = 0

    def duties(self) -> Duties:
        return {
            Search: ("queries", self.search),
            HashSearch: ("queries", self.hash_search),
            HashLookup: ("queries", self.hash_lookup),
            Browse: ("queries", self.browse),
        }

    def search(self, member: Member, message: Search) -> None:
        asked = Asked.parse(readable(message.contains))
        without = [*asked.without, *Asked.of(readable(message.excludes)).words]
        kind = _TYPES.get(message.type.lower()) if message.type else Kind.ANY
        if kind is None:
            member.send(NoSuch(f"{message.type}: invalid type for search"), SearchEnd())
        elif not asked.words:
            why = "search failed: request contained no valid words"
            member.send(NoSuch(why), SearchEnd())
        elif self._denies(member, self._audit.rules.against_words(asked.words), message.contains):
            member.send(NoSuch("search failed: this may not be searched here"), SearchEnd())
        else:
            query = Query(
                asked.words,
                without,
                _limit(message.most),
                kind,
                message.speed,
                message.size,
                message.bitrate,
                message.frequency,
                message.seconds,
                but_not=member.number,
            )
            self._ask(member, partial(self._index.search, query), self._hits)

    def hash_search(self, member: Member, message: HashSearch) -> None:
        """The same answer as to a search; only our own programs know it."""
        value = digest(message.digest, 20)
        if message.kind not in ("sha1", "btih") or not value:
            member.send(NoSuch("search failed: not a hash"), SearchEnd())
        elif self._denies(member, self._audit.rules.against_hash(message.kind, value), ""):
            member.send(NoSuch("search failed: this may not be searched here"), SearchEnd())
        else:
            verb = partial(self._index.lookup, message.kind, value, _MOST)
            self._ask(member, verb, self._hits)

    def hash_lookup(self, member: Member, message: HashLookup) -> None:
        md5 = digest(message.md5, 16)
        if not message.size:
            member.send(NoSuch("invalid file size"), HashEnd())
        elif not md5 or self._denies(member, self._audit.rules.against_hash("md5", md5), ""):
            member.send(HashEnd())
        else:
            exactly = Bounds(message.size, message.size)
            verb = partial(self._index.lookup, "md5", md5, _MOST, size=exactly)
            self._ask(member, verb, self._matches)

    def browse(self, member: Member, message: Browse) -> None:
        owner = self._people.named(message.nick)
        if owner is None:
            # OpenNap, after the first Napster servers: not 404, and the list has an end all the same.
            member.send(SignOff(message.nick), BrowseEnd(message.nick))
            return

        most = min(message.most or _LONGEST_LIST, _LONGEST_LIST)
        member.session.ask(
            partial(self._index.listing, owner.number, most),
            lambda files: member.recite(self._listing(owner, files)),
        )

    def allowed(self, found: Sequence[Found]) -> Iterator[tuple[Member, SharedFile]]:
        """Those whose owners are here, without what was taken down since it was shared."""
        for number, file in found:
            owner = self._people.numbered(number)
            if owner is not None and self._audit.rules.against(file) is None:
                yield owner, file

    def _ask(
        self,
        member: Member,
        verb: Callable[[Callable[[Sequence[Found]], None]], None],
        answer: Callable[[Member, Sequence[Found]], Iterator[Message]],
    ) -> None:
        self.count += 1
        member.session.ask(verb, lambda found: member.send(*answer(member, found)))

    def _hits(self, member: Member, found: Sequence[Found]) -> Iterator[Message]:
        for owner, file in self.allowed(found):
            if member.ours and (file.sha1 or file.info_hash):
                sha1, info_hash = file.sha1.hex() or "-", file.info_hash.hex() or "-"
                yield HitNote(owner.nick, file.name, sha1, info_hash, owner.port)
            yield SearchResult(
                file.name,
                file.md5.hex() or NO_MD5,
                file.size,
                file.bitrate,
                file.frequency,
                file.seconds,
                owner.nick,
                seen_by(member, owner),
                owner.speed,
            )
        yield SearchEnd()

    def _matches(self, member: Member, found: Sequence[Found]) -> Iterator[Message]:
        for owner, file in self.allowed(found):
            yield HashMatch(
                owner.nick,
                seen_by(member, owner),
                owner.port,
                file.name,
                file.md5.hex(),
                file.size,
                owner.speed,
            )
        yield HashEnd()

    def _listing(self, owner: Member, files: Sequence[SharedFile]) -> Iterator[Message]:
        for file in files:
            if self._audit.rules.against(file) is None:
                yield BrowseResult(
                    owner.nick,
                    file.name,
                    file.md5.hex() or NO_MD5,
                    file.size,
                    file.bitrate,
                    file.frequency,
                    file.seconds,
                )
        yield BrowseEnd(owner.nick)

    def _denies(self, member: Member, rule: str | None, text: str) -> bool:
        if rule is not None:
            self._audit.stopped("search", rule, member.nick, member.host, text)
        return rule is not None


def seen_by(member: Member, owner: Member) -> str:
    """Where `member` finds `owner`."""
    local = member.session.stream.local.host
    if _is_own(owner.host) and not _is_own(member.host) and local != "?":
        return local
    return owner.host


def _is_own(host: str) -> bool:
    return host.startswith("127.")


def _limit(most: int | None) -> int:
    """None and 0 are no wish; OpenNap gives a hundred for more."""
    return min(most or _MOST, _MOST)
