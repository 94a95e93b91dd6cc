"""Names from strangers: what is safe stays, what is long is cut, what collides gets a number."""

import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import example, given, settings, strategies as st

from p2pswarm.errors import MetainfoError
from p2pswarm.formats import paths

# Letters of every kind, and everything that a rule is about.
NAUGHTY = st.sampled_from(
    [".", "..", "/", "\\", ":", ".a:b", ":$", "\0", "\n", "\x1b", "\x7f", "\x85", " ", "%2e",
     "%2F", "con", "LPT1", "aux.", "\u202e", "\u2066", "\u200b", "\u200c", "\u200d", "\ufeff", "\u2028",
     "\uff0e", "\uff0f", "\u2024", "\u2025",
     "a", "A", "\u00e9", "e\u0301", "\u4e2d", "COM\u00b9", "x" * 120, "\U0001f469"]
)  # fmt: skip
NAMES = st.lists(NAUGHTY, max_size=4).map("".join) | st.text(max_size=6)
SAFE = st.text(st.sampled_from("aAbB\u00e9E\u0301\u00df.()2 x"), min_size=1, max_size=6).filter(
    lambda name: name[-1] != " " and name.strip(". ") != ""
)


def assert_one_line(text: str) -> None:
    assert text.startswith("path")
    assert text.isprintable()
    assert len(text) < 200


def refused(*elements: str) -> str:
    with pytest.raises(MetainfoError) as caught:
        paths.safe_path([element.encode() for element in elements], "path")
    return str(caught.value)


@given(st.lists(NAMES, min_size=1, max_size=4))
@example(["a\n", "b"])
@example(["%2e.", "b"])
@example(["\u200d\u2025"])
@example(["CON ", "b"])
@settings(max_examples=200)
def test_the_quick_look_at_a_path_agrees_with_the_slow_one(names: list[str]) -> None:
    faults = [words for name in names for words in paths._faults(name)]
    assert paths._is_plain(tuple(names)) == (not faults)


@given(st.lists(NAMES.map(str.encode) | st.binary(max_size=6), min_size=1, max_size=4))
@settings(max_examples=200)
def test_any_names_are_safe_or_refused(elements: list[bytes]) -> None:
    try:
        path = paths.safe_path(elements, "path")
    except MetainfoError as error:
        assert_one_line(str(error))
        return
    assert len(path) == len(elements)
    assert PurePosixPath("/target", *path).parts == ("/", "target", *path)
    assert PureWindowsPath("C:/target", *path).parts == ("C:\\", "target", *path)
    assert not PureWindowsPath(*path).is_reserved()
    assert all(0 < len(name.encode()) <= 255 for name in path)


def test_a_fault_is_told_with_its_name() -> None:
    assert refused("a", "..") == "path: '..' would lead out of the target directory"
    assert refused("a\nb") == r"path: 'a\nb' holds a control character"
    assert "looks like a way out" in refused("\uff0e\uff0e")
    assert refused() == "path has 0 elements, not 1 to 100"
    assert "101 elements" in refused(*["a"] * 101)
    assert "4015 bytes" in refused(*["d" * 250] * 16)


@pytest.mark.parametrize(
    "name",
    ["a", ".hidden", "..a", "a..b", "-rf", "a b", "~", "$HOME", "<b>", "a%b", "%2", "a%2Fb", "100%",
     "confetti", "con-1.txt", "com10", "console", "nul0", "caf\u00e9", "\u4e2d\u6587",
     "Film: Part 2.mkv", "12:30", "Re:Zero", "R.E.M.", "...and more...",
     "Fate\uff0fZero", "Wait\u2026", "\U0001f469\u200d\U0001f680", "\u0645\u06cc\u200c\u062e", "\ufffd"],
)  # fmt: skip
def test_what_is_unusual_but_harmless_stays(name: str) -> None:
    assert paths.safe_path([name.encode()], "path") == (name,)


def test_bytes_that_are_no_utf_8_are_guessed() -> None:
    assert paths.decoded(b"caf\xe9") == "caf\u00e9"
    assert paths.decoded(b"\x80 \x93a\x94 \x81\xff.txt") == "_ _a_ _\u00ff.txt"
    assert paths.decoded(bytes(range(128, 256))).isprintable()
    assert paths.safe_path([b"\xc0\xae\xc0\xae"], "path") == ("\u00c0_\u00c0_",)


def test_shown_is_short_and_printable() -> None:
    assert paths.shown("a") == "'a'"
    assert paths.shown("\n\x1b") == r"'\n\x1b'"
    for text in ("x" * 41, "\U000e0001" * 12, "\n" * 500):
        assert len(paths.shown(text)) <= 61
        assert paths.shown(text).isprintable()
        assert paths.shown(text).endswith("\u2026")


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("n" * 255, "n" * 255),
        ("n" * 256, "n" * 255),
        ("n" * 300 + ".mkv", "n" * 251 + ".mkv"),
        ("\u4e2d" * 100 + ".mkv", "\u4e2d" * 83 + ".mkv"),
        ("n." * 200 + "x", "n." * 126 + "n.x"),
        (". " * 150 + ".x", ".x"),
        ("a." + "n" * 300, "a." + "n" * 253),
        ("." + "n" * 300, "." + "n" * 254),
    ],
)
def test_a_long_name_is_cut_and_keeps_its_extension(name: str, kept: str) -> None:
    assert paths.safe_path([b"d", name.encode()], "path") == ("d", kept)


def test_what_is_unsafe_only_after_the_cut_is_refused() -> None:
    # Nothing but dots and spaces is left of it, and no extension.
    assert "is empty" in refused("." * 300 + "n" * 40)


def twins(*names: str) -> list[str]:
    files = [tuple(name.split("/")) for name in names]
    return ["/".join(path) for path in paths.without_twins(files)]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ([], []),
        (["a", "b", "d/a"], ["a", "b", "d/a"]),
        (["a", "a"], ["a", "a (2)"]),
        (["a.tar.gz", "A.tar.gz"], ["a.tar.gz", "A.tar (2).gz"]),
        (["a", "a (2)", "a"], ["a", "a (2)", "a (3)"]),
        (["a", "a", "a (2)"], ["a", "a (3)", "a (2)"]),
        (["\u00e9", "e\u0301"], ["\u00e9", "e\u0301 (2)"]),
        (["stra\u00dfe", "STRASSE"], ["stra\u00dfe", "STRASSE (2)"]),
        (["a\u200db", "ab"], ["a\u200db", "ab (2)"]),
        (["R.E.M.", "R.E.M"], ["R.E.M.", "R.E (2).M"]),
        (["d./a", "d/a", "a..b", "a.b"], ["d./a", "d/a (2)", "a..b", "a.b"]),
        (["a", "a.", "a (2)"], ["a", "a (3).", "a (2)"]),
        ([".rc", ".RC"], [".rc", ".RC (2)"]),
        (["a", "a/b"], ["a (2)", "a/b"]),
        (["A/b", "a"], ["A/b", "a (2)"]),
        (["a", "a/b", "a (2)/c"], ["a (3)", "a/b", "a (2)/c"]),
        (["D/a", "d/b", "d/A"], ["D/a", "d/b", "d/A (2)"]),
        (["n" * 255, "n" * 255], ["n" * 255, "n" * 243 + " (2)"]),
    ],
)
def test_twins_get_a_number(given: list[str], kept: list[str]) -> None:
    assert twins(*given) == kept


def folded(name: str) -> str:
    name = unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())
    return name.rstrip(". ")


@given(st.lists(st.lists(SAFE, min_size=1, max_size=3).map(tuple), max_size=12))
@settings(max_examples=200)
def test_no_file_falls_onto_another(files: list[tuple[str, ...]]) -> None:
    placed = paths.without_twins(files)
    assert placed == paths.without_twins(files)
    assert [path[:-1] for path in placed] == [path[:-1] for path in files]
    names = [tuple(map(folded, path)) for path in placed]
    assert len(set(names)) == len(names)
    folders = {path[:end] for path in names for end in range(1, len(path))}
    assert not folders & set(names)
    assert all(paths.safe_path([name.encode() for name in path], "path") == path for path in placed)
