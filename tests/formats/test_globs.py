"""Globs mean what a person expects of them, and never more than a folder's own."""

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.formats.globs import matches


@pytest.mark.parametrize(
    ("glob", "path", "meant"),
    [
        ("*.iso", "a.iso", True),
        ("*.iso", "deep/down/a.iso", True),
        ("*.iso", "a.iso.txt", False),
        ("*.ISO", "a.iso", False),
        ("extras", "extras/a/b", True),
        ("extras/", "extras/a/b", True),
        ("extras", "x/extras/b", True),
        ("extras", "extras2/b", False),
        ("/extras", "x/extras/b", False),
        ("/extras", "extras/b", True),
        ("a/b", "a/b/c", True),
        ("a/b", "x/a/b", False),
        ("a/*", "a/b/c", True),
        ("*/b", "a/x/b", False),
        ("**/b", "a/x/b", True),
        ("**/b", "b", True),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/x/y/b/z", True),
        ("a/**", "a/x/y", True),
        ("a/**", "b/a/x", False),
        ("**", "anything/at/all", True),
        ("?.txt", "a.txt", True),
        ("?.txt", "ab.txt", False),
        ("[a-c].txt", "b.txt", True),
        ("[!a-c].txt", "b.txt", False),
        ("[!a-c].txt", "d.txt", True),
        ("[^a].txt", "^.txt", True),
        ("[--a].txt", "-.txt", True),
        ("[a&&[~~].txt", "~.txt", True),
        ("[\\d].txt", "5.txt", False),
        ("[.txt", "[.txt", True),
        ("a.b", "axb", False),
        ("x\ny", "x\ny", True),
        ("", "a", False),
        ("/", "a", False),
    ],
)
def test_what_a_glob_means(glob: str, path: str, meant: bool) -> None:
    assert matches(glob, path.split("/")) is meant


def test_a_range_turned_around_is_told() -> None:
    with pytest.raises(ValueError, match=r"'\[c-a\]' is not a glob"):
        matches("[c-a]", ["b"])


@given(st.text("ab*?[]!^-\\/.\n", max_size=8), st.text("ab/.\n", min_size=1, max_size=8))
@settings(max_examples=100)
def test_any_text_is_a_glob_or_a_value_error(glob: str, path: str) -> None:
    try:
        assert matches(glob, path.split("/")) in {True, False}
    except ValueError:
        assert "[" in glob


@given(st.lists(st.text("ab.-", min_size=1, max_size=3), min_size=1, max_size=3))
@settings(max_examples=50)
def test_a_path_means_itself(path: list[str]) -> None:
    assert matches("/" + "/".join(path), path)
    assert not matches("/" + "/".join([*path, "x"]), path)
