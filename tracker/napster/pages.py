"""The same search by HTTP: a page for people, JSON for programs. Addresses of members are not told here."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from p2pswarm.formats.words import Asked, Kind, kind_of
from tracker.napster.audit import Audit
from tracker.napster.index import FileIndex, Found, Query, SharedFile, readable
from tracker.napster.limits import Guests
from tracker.napster.people import Member
from tracker.napster.searching import Searching
from tracker.pages import page, readable_size

__all__ = ["WebSearch", "render"]

_MOST = 100
_LONGEST = 200  # characters of a query


class WebSearch:
    """What `/napster` and `/napster/search` answer."""

    def __init__(
        self,
        index: FileIndex,
        searching: Searching,
        audit: Audit,
        guests: Guests,
        clock: Callable[[], float],
    ) -> None:
        self._index, self._searching, self._audit = index, searching, audit
        self._guests, self._clock = guests, clock

    def may(self, host: str) -> bool:
        """Whether this address may search again already."""
        return self._guests.may_search_the_web(host, self._clock())

    async def search(self, asked: Mapping[str, str], host: str) -> list[dict[str, Any]]:
        """`q` is the words, `kind` and `limit` may narrow it. Raises ValueError for what is neither."""
        query = _query(asked)
        if not query.words:
            return []
        rule = self._audit.rules.against_words(query.words)
        if rule is not None:
            self._audit.stopped("search", rule, "", host, asked.get("q", ""))
            return []
        self._searching.count += 1
        found = await self._found(query)
        return [_hit(owner, file) for owner, file in self._searching.allowed(found)]

    async def _found(self, query: Query) -> Sequence[Found]:
        future: asyncio.Future[Sequence[Found]] = asyncio.get_running_loop().create_future()

        def done(files: Sequence[Found]) -> None:
            if not future.done():  # who asked may have hung up
                future.set_result(files)

        self._index.search(query, done)
        return await future


def _query(asked: Mapping[str, str]) -> Query:
    words = Asked.parse(asked.get("q", "")[:_LONGEST])
    limit = asked.get("limit") or str(_MOST)
    if not (limit.isascii() and limit.isdigit() and 0 < int(limit[:9]) <= _MOST):
        raise ValueError(f"limit is a number from 1 to {_MOST}")
    kind = asked.get("kind") or Kind.ANY.value
    if kind not in [known.value for known in Kind]:
        raise ValueError(f"kind is one of {', '.join(known.value for known in Kind)}")
    return Query(words.words, words.without, int(limit), Kind(kind))


def _hit(owner: Member, file: SharedFile) -> dict[str, Any]:
    return {
        "name": readable(file.name),
        "kind": kind_of(file.name).value,
        "size": file.size,
        "md5": file.md5.hex() or None,
        "sha1": file.sha1.hex() or None,
        "info_hash": file.info_hash.hex() or None,
        "bitrate": file.bitrate,
        "frequency": file.frequency,
        "seconds": file.seconds,
        "nick": owner.nick,
        "speed": owner.speed,
    }


def render(asked: str, hits: Sequence[Mapping[str, Any]], report: Mapping[str, int]) -> str:
    """The search page; everything that members named is escaped."""
    form = (
        '<form action="/napster"><input name="q" size="40" autofocus '
        f'value="{escape(asked[:_LONGEST])}"> <button>Search</button></form>'
    )
    numbers = f"<p>{report['napster_files']} files of {report['napster_users']} members.</p>"
    if not asked:
        return page("Napster search", form + numbers)
    rows = "".join(
        f"<tr><td>{escape(hit['name'])}</td><td>{readable_size(hit['size'])}</td>"
        f"<td>{hit['bitrate'] or ''}</td><td>{escape(hit['nick'])}</td></tr>"
        for hit in hits
    )
    heads = "<tr><th>file<th>size<th>kbit/s<th>member</tr>"
    table = f"<table>{heads}{rows}</table>" if hits else "<p>Nothing was found.</p>"
    return page("Napster search", form + table)
