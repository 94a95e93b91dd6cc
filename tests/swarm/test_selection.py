import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.errors import HostError
from p2pswarm.formats.building import build
from p2pswarm.formats.metainfo import File, Metainfo
from p2pswarm.swarm.selection import Choice, Priority, Selection

PIECE = 16 << 10
PATHS = ["a.mkv", "b.txt", ".pad/9", "Season 1/c.mkv", "Season 1/extra/d.txt", "empty"]
FILES = [
    File(("show", *path.split("/")), 0 if path == "empty" else 10, 10 * n, path.startswith(".pad"))
    for n, path in enumerate(PATHS)
]


def chosen(selection: Selection) -> list[str]:
    wanted = zip(selection.over(FILES).files, PATHS, strict=True)
    return [path for priority, path in wanted if priority]


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (("*.mkv",), ["a.mkv", "Season 1/c.mkv"]),
        (("d.txt",), ["Season 1/extra/d.txt"]),
        (("Season 1",), ["Season 1/c.mkv", "Season 1/extra/d.txt"]),
        (("Season 1/",), ["Season 1/c.mkv", "Season 1/extra/d.txt"]),
        (("Season 1/extra",), ["Season 1/extra/d.txt"]),
        (("/b.txt",), ["b.txt"]),
        (("show",), []),  # the torrent's own folder has no say
        (("0",), ["a.mkv"]),
        (("2",), ["Season 1/c.mkv"]),  # a pad file has no number
        (("0-1,3", "empty"), ["a.mkv", "b.txt", "Season 1/extra/d.txt", "empty"]),
        (("[ab].*",), ["a.mkv", "b.txt"]),
    ],
)
def test_patterns(patterns: tuple[str, ...], expected: list[str]) -> None:
    if not expected:
        with pytest.raises(HostError, match="no file of the torrent fits"):
            chosen(Selection(only=patterns))
        return
    assert chosen(Selection(only=patterns)) == expected
    rest = [path for path in PATHS if path not in (*expected, ".pad/9")]
    assert chosen(Selection(skip=patterns)) == rest


def test_without_a_word_everything_is_wanted_but_pads() -> None:
    assert chosen(Selection()) == [path for path in PATHS if path != ".pad/9"]


@pytest.mark.parametrize("pattern", ["*.avi", "A.MKV", "6", "100-200", ".pad/9", "9", ""])
def test_a_pattern_that_fits_nothing_is_an_error(pattern: str) -> None:
    for selection in (Selection(only=(pattern,)), Selection(skip=(pattern,))):
        with pytest.raises(HostError, match="fits"):
            selection.over(FILES)


@pytest.mark.parametrize(
    "selection", [Selection(skip=("*",)), Selection(only=("empty",)), Selection(("0",), ("0",))]
)
def test_to_want_nothing_is_an_error(selection: Selection) -> None:
    with pytest.raises(HostError, match="wanted"):
        selection.over(FILES)


def test_what_is_no_glob_is_an_error() -> None:
    with pytest.raises(HostError, match="glob"):
        Selection(only=("[c-a]",)).over(FILES)


def test_a_file_alone_is_chosen_by_its_name() -> None:
    alone = [File(("file.iso",), 10, 0)]
    assert Selection(only=("*.iso",)).over(alone).files == bytes([Priority.NORMAL])


def test_a_link_counts_pad_files_and_is_weaker_than_a_person() -> None:
    linked = (range(3), range(4, 5))
    assert chosen(Selection(linked=linked)) == ["a.mkv", "b.txt", "Season 1/extra/d.txt"]
    assert chosen(Selection(linked=linked, only=("c.*",))) == ["Season 1/c.mkv"]
    assert chosen(Selection(linked=linked, skip=("b.*",))) == ["a.mkv", "Season 1/extra/d.txt"]


def test_a_link_that_names_no_file_says_nothing() -> None:
    assert len(chosen(Selection(linked=(range(50, 60), range(2, 3))))) == 5


def test_the_last_priority_decides_and_wakes_nothing_that_is_skipped() -> None:
    selection = Selection(
        skip=("b.txt",),
        priorities=(("*", Priority.LOW), ("*.mkv", Priority.HIGH), ("Season 1", Priority.NORMAL)),
    )
    assert [*selection.over(FILES).files] == [3, 0, 0, 2, 2, 1]


def torrent(*lengths: int) -> Metainfo:
    files = [((f"file{n}",), length) for n, length in enumerate(lengths)]
    pieces = bytes(20 * -(-sum(lengths) // PIECE))
    return build(name="many", piece_length=PIECE, pieces=pieces, files=files)


def test_a_shared_piece_is_as_wanted_as_its_most_wanted_file() -> None:
    meta = torrent(PIECE + 1, 2 * PIECE, 0, PIECE)
    tiers = Choice(bytes([1, 3, 2, 0])).tiers(meta)
    assert [[*tier.pieces()] for tier in tiers] == [[1, 2, 3], [0]]


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 3 * PIECE), st.sampled_from(Priority)), min_size=1))
def test_every_byte_of_a_wanted_file_is_in_a_tier(files: list[tuple[int, Priority]]) -> None:
    lengths = [length for length, _ in files] + [1]
    meta = torrent(*lengths)
    choice = Choice(bytes([priority for _, priority in files] + [Priority.HIGH]))
    tiers = choice.tiers(meta)
    wanted = {piece for tier in tiers for piece in tier.pieces()}
    assert sum(tier.count() for tier in tiers) == len(wanted)
    for file, priority in zip(meta.files, choice.files, strict=True):
        pieces = {(file.offset + at) // PIECE for at in range(file.length)}
        assert not priority or pieces <= wanted
    needed = {
        (file.offset + at) // PIECE
        for number, file in enumerate(meta.files)
        if number not in choice.skipped
        for at in range(file.length)
    }
    assert wanted == needed
