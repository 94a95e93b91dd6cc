"""What visitors of the hosted torrents see: found, sorted, page by page."""

import json
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.formats.ids import InfoHash
from p2pswarm.wire.tracker import Counts
from tracker.catalog import MOST_PER_PAGE, PER_PAGE, Shown, Wish, told
from tracker.torrents import Hosted


def hosted(name: str, total: int = 1, added: float = 0.0) -> Hosted:
    key = InfoHash(name.encode().ljust(20, b"\0")[:20])
    file = f"{name}.torrent"
    searched = f"{file} {name}".casefold()
    return Hosted(file, key, total, name, searched, (key,), 1, f"magnet:?dn={name}", added)


OFFERS = [hosted("Big Film", 900, 3.0), hosted("a song", 5, 1.0), hosted("small film", 7, 2.0)]
SEEDS = {"Big Film": 1, "a song": 5, "small film": 3}


def shown(**asked: str) -> Shown:
    wish = Wish.read(asked)
    found = wish.found_in(OFFERS)
    return Shown.of(wish, found, lambda each: Counts(complete=SEEDS[each.title]))


def titles(**asked: str) -> list[str]:
    return [offer.title for offer, _ in shown(**asked).offers]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ["a song", "Big Film", "small film"]),
        ({"sort": "size"}, ["Big Film", "small film", "a song"]),
        ({"sort": "added"}, ["Big Film", "small film", "a song"]),
        ({"sort": "seeds"}, ["a song", "small film", "Big Film"]),
        ({"sort": "<script>"}, ["a song", "Big Film", "small film"]),
        ({"q": "FILM"}, ["Big Film", "small film"]),
        ({"q": " film  small "}, ["small film"]),
        ({"q": "nothing"}, []),
        ({"per": "2"}, ["a song", "Big Film"]),
        ({"per": "2", "page": "2"}, ["small film"]),
        ({"per": "2", "page": "2", "sort": "seeds"}, ["Big Film"]),
        ({"per": "2", "page": "99"}, ["small film"]),
        ({"per": "0", "page": "-1"}, ["a song", "Big Film", "small film"]),
        ({"per": "²", "page": "9" * 5000}, ["a song", "Big Film", "small film"]),
    ],
)
def test_what_is_found_in_which_order(asked: dict[str, str], expected: list[str]) -> None:
    assert titles(**asked) == expected


def test_only_one_page_is_counted_unless_swarms_make_the_order() -> None:
    assert len(Wish(per_page=2).counted(OFFERS)) == 2
    assert len(Wish(per_page=2, order="seeds").counted(OFFERS)) == 3


@given(
    st.dictionaries(st.sampled_from(["q", "sort", "page", "per", "x"]), st.text(max_size=300)),
    st.integers(0, 120),
)
@settings(max_examples=100)
def test_whatever_is_asked_some_page_is_shown(asked: dict[str, str], many: int) -> None:
    wish = Wish.read(asked)
    offers = [hosted(f"n{n:03}") for n in range(many)]
    seen = Shown.of(wish, wish.found_in(offers), lambda _: Counts())
    assert 1 <= seen.wish.page <= seen.pages
    assert len(seen.offers) <= wish.per_page <= MOST_PER_PAGE
    assert bool(seen.offers) == bool(seen.found)
    assert Wish.read(dict(_query(seen.wish.url(seen.wish.page)))) == seen.wish
    json.dumps(told(seen))


def _query(url: str) -> list[tuple[str, str]]:
    from urllib.parse import parse_qsl, urlsplit

    return parse_qsl(urlsplit(url).query)


def test_programs_are_told_all_of_it() -> None:
    told_: dict[str, Any] = told(shown(q="song"))
    assert (told_["found"], told_["page"], told_["pages"]) == (1, 1, 1)
    [song] = told_["torrents"]
    assert song["url"] == "/t/a%20song.torrent"
    assert (song["seeds"], song["size"], song["files"]) == (5, 5, 1)
    assert song["info_hashes"] == [OFFERS[1].info_hash.hex()]
    assert PER_PAGE == 50
