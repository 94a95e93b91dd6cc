import pytest
from hypothesis import given, strategies as st

from p2pswarm.errors import NetworkError
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.formats.words import Kind
from p2pswarm.overlay.napster.results import Results, local_name, question_for, wire_name
from p2pswarm.overlay.query import Digest, Query
from p2pswarm.wire.napster import BrowseResult, HashMatch, HitNote, SearchEnd, SearchResult

MD5, SHA1 = "11" * 16, "22" * 20


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (Query.parse("Blue moon"), 'FILENAME CONTAINS "blue moon" MAX_RESULTS 100 TYPE any'),
        (
            Query(("a",), ("b", "c"), Kind.AUDIO, 10, 20, limit=5),
            'FILENAME CONTAINS "a" MAX_RESULTS 5 FILENAME EXCLUDES "b c" '
            'SIZE "AT LEAST" "10" SIZE "AT BEST" "20" TYPE audio',
        ),
    ],
)
def test_a_query_in_the_words_of_the_protocol(query: Query, text: str) -> None:
    assert question_for(query, greeted=False).written() == text


def test_a_hash_is_asked_for_where_the_server_knows_it() -> None:
    md5 = Query(digest=Digest("md5", bytes(16)), min_size=7, max_size=7)
    assert question_for(md5, greeted=False).encode()[2:] == b"\xd7\x00" + b"0" * 32 + b" 7"
    for name in ("sha1", "btih"):
        query = Query(digest=Digest(name, b"\x22" * 20))
        assert question_for(query, greeted=True).written() == f"{name} {SHA1}"
        with pytest.raises(NetworkError, match=f"cannot search by {name}"):
            question_for(query, greeted=False)
    with pytest.raises(NetworkError, match="cannot search by md5"):
        question_for(Query(digest=Digest("md5", bytes(16))), greeted=True)


def test_a_search_needs_a_word() -> None:
    with pytest.raises(NetworkError, match="needs a word"):
        question_for(Query(without=("x",)), greeted=True)


def result(nick: str = "bob", name: str = r"music\a.mp3", md5: str = MD5) -> SearchResult:
    return SearchResult(name, md5, 1000, 128, 44100, 60, nick, "50.11.5.1", 4)


def test_a_result_becomes_a_hit() -> None:
    hit = Results().hit(result())
    assert hit is not None
    assert (hit.name, hit.size, hit.nick, hit.network) == (r"music\a.mp3", 1000, "bob", "napster")
    assert (hit.host, hit.peer) == (Address("50.11.5.1", 0), None)
    assert (hit.md5, hit.sha1, hit.info_hash) == (b"\x11" * 16, None, None)


def test_a_note_tells_more_of_the_result_that_follows() -> None:
    results = Results()
    assert results.hit(HitNote("bob", r"music\a.mp3", SHA1, "33" * 20, 46881)) is None
    hit = results.hit(result())
    assert hit is not None
    assert (hit.sha1, hit.info_hash) == (b"\x22" * 20, InfoHash(b"\x33" * 20))
    assert hit.peer == Address("50.11.5.1", 46881)
    plain = results.hit(result())
    assert plain is not None
    assert (plain.sha1, plain.peer) == (None, None)


@pytest.mark.parametrize(
    "note",
    [
        HitNote("eve", r"music\a.mp3", SHA1, SHA1, 1),
        HitNote("bob", r"music\b.mp3", SHA1, SHA1, 1),
        HitNote("bob", r"music\a.mp3", "-", "zz" * 20, 0),
        HitNote("bob", r"music\a.mp3", SHA1[:-1], SHA1 + "00", 0),
    ],
)
def test_a_note_that_does_not_belong_or_says_nothing_is_left_out(note: HitNote) -> None:
    results = Results()
    results.hit(note)
    hit = results.hit(result())
    assert hit is not None
    assert (hit.sha1, hit.info_hash, hit.peer) == (None, None, None)


@pytest.mark.parametrize(
    ("md5", "value"),
    [("0" * 32, None), ("junk", None), (MD5.upper(), b"\x11" * 16), (f"{MD5}-1000", b"\x11" * 16)],
)
def test_what_an_md5_may_look_like(md5: str, value: bytes | None) -> None:
    hit = Results().hit(result(md5=md5))
    assert hit is not None
    assert hit.md5 == value


def test_other_lists_become_hits_too() -> None:
    match = Results().hit(HashMatch("bob", "1.2.3.4", 6699, "a", MD5, 5, 0))
    assert match is not None
    assert match.host == Address("1.2.3.4", 6699)
    entry = Results().hit(BrowseResult("bob", "a", MD5, 5, 0, 0, 0))
    assert entry is not None
    assert (entry.host, entry.nick, entry.size) == (None, "bob", 5)
    assert Results().hit(SearchEnd()) is None


@given(st.text(st.characters(exclude_characters="\\\0", exclude_categories=["Cs"])))
def test_names_go_out_and_come_back(name: str) -> None:
    assert local_name(wire_name(name)) == name
    assert "/" not in wire_name(name)


def test_a_name_with_slashes_is_none_of_ours() -> None:
    assert local_name(r"music/../../etc/passwd") == ""
