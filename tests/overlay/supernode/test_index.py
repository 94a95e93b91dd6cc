from random import Random
from time import process_time
from typing import Any

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from p2pswarm.formats.ids import InfoHash
from p2pswarm.formats.words import Kind
from p2pswarm.overlay.query import Digest, Query
from p2pswarm.overlay.supernode import index as room, postings
from p2pswarm.overlay.supernode.index import CANDIDATES, KEYS_OF_FILE, Index
from p2pswarm.wire.supernode.shares import SharedFile

SHA1, TTH, BTIH = b"s" * 20, b"t" * 24, InfoHash(b"b" * 20)


def file(number: int, name: str, size: int = 1000, **hashes: Any) -> SharedFile:
    return SharedFile(number, size, name, **hashes)


def names(index: Index[str], query: Query, limit: int = 100) -> list[str]:
    return [file.name for _, files in index.search(query, limit) for file in files]


def of(*files: SharedFile) -> Index[str]:
    index: Index[str] = Index()
    assert index.add("owner", files) == len(files)
    return index


def test_a_file_is_found_by_all_of_the_words_and_none_of_the_others() -> None:
    index = of(file(1, "Music/Blue Moon.mp3"), file(2, "Blue Moon (remix).mp3"), file(3, "Moon"))
    assert names(index, Query.parse("moon BLUE")) == [
        "Music/Blue Moon.mp3",
        "Blue Moon (remix).mp3",
    ]
    assert names(index, Query.parse("moon blue -remix")) == ["Music/Blue Moon.mp3"]
    assert names(index, Query.parse("moon -nothing -blue")) == ["Moon"]
    assert names(index, Query.parse("blue sun")) == []
    assert names(index, Query(words=("Blue", "MOON.mp3"), without=("ReMix",))) == [
        "Music/Blue Moon.mp3"
    ]


def test_accents_and_scripts_are_compared_as_everywhere() -> None:
    index = of(file(1, "Déjà vu.mp3"), file(2, "東京タワー.jpg"))
    assert names(index, Query.parse("deja VÙ")) == ["Déjà vu.mp3"]
    assert names(index, Query.parse("東京")) == ["東京タワー.jpg"]


def test_kind_and_sizes_are_asked_for() -> None:
    index = of(file(1, "moon.mp3", 10), file(2, "moon.avi", 20), file(3, "moon.avi", 30))
    assert names(index, Query(words=("moon",), kind=Kind.AUDIO)) == ["moon.mp3"]
    assert names(index, Query(words=("moon",), min_size=20, max_size=29)) == ["moon.avi"]
    assert names(index, Query(words=("moon",), max_size=9)) == []


@pytest.mark.parametrize(
    ("algorithm", "value"), [("sha1", SHA1), ("tth", TTH), ("btih", bytes(BTIH))]
)
def test_a_hash_finds_the_file_and_means_what_it_says(algorithm: str, value: bytes) -> None:
    index = of(
        file(1, "moon", sha1=SHA1, tth=TTH, info_hash=BTIH),
        file(2, "sun", sha1=bytes(BTIH), info_hash=InfoHash(SHA1)),
    )
    assert names(index, Query(digest=Digest(algorithm, value))) == ["moon"]
    assert names(index, Query(words=("sun",), digest=Digest(algorithm, value))) == []
    assert names(index, Query(digest=Digest("md5", value))) == []


@pytest.mark.parametrize("words", [(), ("",), ("-", "...")])
def test_nothing_is_found_by_nothing(words: tuple[str, ...]) -> None:
    index = of(file(1, "moon.mp3"), file(2, "- ..."))
    assert names(index, Query(words=words)) == []
    assert names(index, Query(words=words, without=("sun",), kind=Kind.AUDIO)) == []


def test_the_same_number_replaces_a_file() -> None:
    index = of(file(1, "blue moon", sha1=SHA1))
    assert index.add("owner", [file(1, "blue sun")]) == 1
    assert index.files == index.count("owner") == 1
    assert names(index, Query.parse("blue")) == ["blue sun"]
    assert names(index, Query.parse("moon")) == []
    assert names(index, Query(digest=Digest("sha1", SHA1))) == []
    index.check()


def test_what_is_withdrawn_is_gone_and_unknown_numbers_do_no_harm() -> None:
    index = of(file(1, "blue moon"), file(2, "blue sun"))
    index.remove("owner", [1, 77])
    index.remove("stranger", [2])
    assert names(index, Query.parse("blue")) == ["blue sun"]
    index.remove("owner", [2])
    assert "owner" not in index
    index.check()


def test_who_leaves_is_forgotten_at_once_and_nobody_else() -> None:
    index = of(file(1, "blue moon"))
    index.add("other", [file(1, "blue sun")])
    index.forget("owner")
    index.forget("owner")
    assert "owner" not in index
    assert index.files == 1
    assert names(index, Query.parse("blue")) == ["blue sun"]
    assert names(index, Query.parse("moon")) == []
    index.check()


def test_so_many_files_are_taken_and_no_more() -> None:
    index: Index[str] = Index(most=5, most_of_owner=3)
    assert index.add("a", [file(n, f"a{n}") for n in range(4)]) == 3
    assert index.add("a", [file(1, "again"), file(9, "one more")]) == 1
    assert index.add("b", [file(n, f"b{n}") for n in range(4)]) == 2
    index.check()


def test_who_has_most_makes_room_for_who_has_less() -> None:
    index: Index[str] = Index(most=1000, most_of_owner=400)
    for liar in "abc":
        index.add(liar, [file(n, f"moon {liar} {n}") for n in range(400)])
    assert index.files == 1000
    assert index.add("good", [file(n, f"sun {n}") for n in range(50)]) == 50
    assert index.count("good") == 50
    assert index.add("better", [file(n, f"sun {n}") for n in range(250)]) >= 220
    assert min(map(index.count, "abc")) > 180
    assert index.count("good") == 50
    index.check()


def test_made_up_words_fill_no_memory() -> None:
    index: Index[str] = Index(most=1000, most_of_owner=100)
    for owner in range(20):
        many = (" ".join(f"w{owner}x{n}y{i}" for i in range(30)) for n in range(100))
        taken = index.add(str(owner), [file(n, name) for n, name in enumerate(many)])
        assert taken <= 100 * KEYS_OF_FILE / 30 + 1
    assert index._keys < 1000 * KEYS_OF_FILE + 64
    index.check()


def test_one_owner_gives_so_many_and_who_asks_gives_none() -> None:
    index: Index[str] = Index()
    for owner in "abc":
        index.add(owner, [file(n, f"moon {n}") for n in range(30)])
    found = index.search(Query.parse("moon"), 100, most_of_one=5, but="b")
    assert [(owner, len(files)) for owner, files in found] == [("a", 5), ("c", 5)]
    assert [len(files) for _, files in index.search(Query.parse("moon"), 7, 5)] == [2, 2, 3]
    assert index.search(Query.parse("moon"), 0) == []


def test_with_more_hits_than_wanted_everybody_has_a_turn() -> None:
    index: Index[int] = Index()
    for owner in range(10):
        index.add(owner, [file(1, "moon")])
    seen = [[owner for owner, _ in index.search(Query.parse("moon"), 2)] for _ in range(10)]
    assert sorted(owner for turn in seen for owner in turn) == sorted([*range(10), *range(10)])


def test_who_shares_what_everybody_asks_for_hides_nobody() -> None:
    index: Index[str] = Index()
    for owner in ("bad", "worse", "worst"):
        index.add(owner, [file(n, "moon song", size=1) for n in range(10_000)])
    index.add("good", [file(1, "moon song", size=1000)])
    query = Query.parse("moon song")
    wanted = Query(words=query.words, min_size=1000)
    turns = [[owner for owner, _ in index.search(wanted, 10)] for _ in range(4)]
    assert [] in turns, "so much work in one query was not meant"
    assert ["good"] in turns


def test_work_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    has = postings.has

    def counted(row: Any, number: int) -> bool:
        nonlocal looks
        looks += 1
        return has(row, number)

    monkeypatch.setattr(room, "has", counted)
    index: Index[int] = Index()
    for owner in range(8):
        index.add(owner, [file(n, "the moon of the song mp3 remix") for n in range(9000)])
    query = Query(words=("the", "moon", "of", "song", "mp3"), without=("other", "remix"))
    began = process_time()
    assert index.search(query, 10) == []
    assert 0 < looks <= CANDIDATES + 100
    assert process_time() - began < 5.0


WORDS = ["blue", "moon", "sun", "déjà"]
few = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join)
shared = st.builds(
    SharedFile,
    st.integers(0, 5),
    st.integers(0, 3),
    few,
    st.none() | st.just(SHA1),
    st.none() | st.just(TTH),
    st.none() | st.just(InfoHash(SHA1)),
)


class Children(RuleBasedStateMachine):
    """Against a dictionary: what is shared is found, and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.index: Index[str] = Index()
        self.model: dict[str, dict[int, SharedFile]] = {}

    @rule(owner=st.sampled_from("abc"), files=st.lists(shared, max_size=6))
    def add(self, owner: str, files: list[SharedFile]) -> None:
        assert self.index.add(owner, files) == len(files)
        self.model.setdefault(owner, {}).update({file.number: file for file in files})

    @rule(owner=st.sampled_from("abc"), numbers=st.lists(st.integers(0, 6)))
    def remove(self, owner: str, numbers: list[int]) -> None:
        self.index.remove(owner, numbers)
        for number in numbers:
            self.model.get(owner, {}).pop(number, None)

    @rule(owner=st.sampled_from("abc"))
    def forget(self, owner: str) -> None:
        self.index.forget(owner)
        self.model.pop(owner, None)

    @rule(text=few, without=few | st.just(""), least=st.integers(0, 3))
    def search(self, text: str, without: str, least: int) -> None:
        query = Query(tuple(text.split()), tuple(without.split()), min_size=least)
        found = {
            (owner, file) for owner, files in self.index.search(query, 1000, 1000) for file in files
        }
        wanted = {
            (owner, file)
            for owner, files in self.model.items()
            for file in files.values()
            if set(text.split()) <= set(file.name.split())
            and not set(without.split()) & set(file.name.split())
            and file.size >= least
        }
        assert found == wanted

    @invariant()
    def holds(self) -> None:
        self.index.check()
        assert self.index.files == sum(map(len, self.model.values()))
        for owner in "abc":
            assert self.index.count(owner) == len(self.model.get(owner, {}))
            assert (owner in self.index) is bool(self.model.get(owner))


TestChildren = Children.TestCase
TestChildren.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)


def test_a_large_collection_is_replaced_and_forgotten_quickly() -> None:
    index: Index[str] = Index()
    dice = Random(1)
    files = [file(n, f"song {dice.randrange(5000)} by {n % 70}.mp3") for n in range(10_000)]
    began = process_time()
    index.add("a", files)
    dice.shuffle(files)
    index.add("a", files)
    index.remove("a", [file.number for file in files])
    assert process_time() - began < 10.0, "a third of a second here"
    assert index.files == 0
