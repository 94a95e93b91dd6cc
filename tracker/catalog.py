"""What a visitor of the hosted torrents sees: the words that were searched, the order, the page. Sans-IO."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self
from urllib.parse import quote, urlencode

from p2pswarm.wire.tracker import Counts
from tracker.torrents import Hosted

__all__ = ["ORDERS", "Offer", "Shown", "Wish", "told"]

ORDERS = ("name", "size", "seeds", "added")
"""By name from A to Z; by all else the most, or the newest, first."""

PER_PAGE, MOST_PER_PAGE = 50, 500
_LONGEST = 200  # characters of a search
_MOST_PAGES = 1_000_000

Offer = tuple[Hosted, Counts]
CountsOf = Callable[[Hosted], Counts]


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to see. Whatever cannot be is as if it had not been said."""

    words: str = ""
    order: str = "name"
    page: int = 1
    per_page: int = PER_PAGE

    @classmethod
    def read(cls, asked: Mapping[str, str]) -> Self:
        """From `q`, `sort`, `page` and `per` of a URL."""
        order = asked.get("sort", "")
        return cls(
            words=" ".join(asked.get("q", "")[:_LONGEST].split()),
            order=order if order in ORDERS else "name",
            page=_number(asked.get("page"), 1, _MOST_PAGES),
            per_page=_number(asked.get("per"), PER_PAGE, MOST_PER_PAGE),
        )

    def counted(self, found: Sequence[Hosted]) -> Sequence[Hosted]:
        """Those whose swarms have to be counted: of one page, unless they make the order."""
        return found if self.order == "seeds" else found[self.part(found)]

    def part(self, found: Sequence[object]) -> slice:
        """Which of them are on the page, or on the last one."""
        page = min(self.page, _pages(found, self.per_page))
        return slice((page - 1) * self.per_page, page * self.per_page)

    def url(self, page: int) -> str:
        """The same on another page, from the root of the server."""
        said = {"q": self.words, "sort": self.order, "page": page, "per": self.per_page}
        usual = {"q": "", "sort": "name", "page": 1, "per": PER_PAGE}
        return "/t/?" + urlencode(
            {key: value for key, value in said.items() if value != usual[key]}
        )

    def found_in(self, offers: Sequence[Hosted]) -> list[Hosted]:
        """Those whose names have all the words, in the order that needs no counting."""
        words = self.words.casefold().split()
        found = [each for each in offers if all(word in each.searched for word in words)]
        match self.order:
            case "size":
                found.sort(key=lambda each: -each.total)
            case "added":
                found.sort(key=lambda each: -each.added)
            case _:
                found.sort(key=lambda each: each.searched)
        return found


@dataclass(frozen=True, slots=True)
class Shown:
    """One page of what was found. `wish.page` is a page that there is."""

    wish: Wish
    found: int
    pages: int
    offers: Sequence[Offer]

    @classmethod
    def of(cls, wish: Wish, found: Sequence[Hosted], count: CountsOf) -> Self:
        """`found` by the same wish; `count` knows those that are `counted`."""
        pages = _pages(found, wish.per_page)
        offers = [(hosted, count(hosted)) for hosted in wish.counted(found)]
        if wish.order == "seeds":
            offers.sort(key=lambda offer: (-offer[1].complete, -offer[1].incomplete))
            offers = offers[wish.part(offers)]
        return cls(replace(wish, page=min(wish.page, pages)), len(found), pages, offers)


def told(shown: Shown) -> dict[str, Any]:
    """The same for programs."""
    wish = shown.wish
    return {
        "query": wish.words,
        "sort": wish.order,
        "page": wish.page,
        "pages": shown.pages,
        "found": shown.found,
        "torrents": [_told(hosted, counts) for hosted, counts in shown.offers],
    }


def _told(hosted: Hosted, counts: Counts) -> dict[str, Any]:
    return {
        "name": hosted.title,
        "file": hosted.name,
        "url": f"/t/{quote(hosted.name, safe='')}",
        "magnet": hosted.magnet,
        "info_hashes": [name.hex() for name in hosted.swarms],
        "size": hosted.total,
        "files": hosted.files,
        "added": int(hosted.added),
        "seeds": counts.complete,
        "leechers": counts.incomplete,
        "downloads": counts.downloaded,
    }


def _pages(found: Sequence[object], per_page: int) -> int:
    return max(1, -(-len(found) // per_page))


def _number(text: str | None, usual: int, most: int) -> int:
    text = text or ""
    plain = text.isascii() and text.isdigit() and len(text) < 10
    return min(int(text), most) if plain and int(text) > 0 else usual
