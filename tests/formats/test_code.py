import re
from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.errors import FormatError
from p2pswarm.formats.code import MOST_NUMBER, Code, is_code
from p2pswarm.formats.code_words import FIRST, SECOND
from p2pswarm.formats.ids import Address


def errors_between(one: str, other: str) -> int:
    """Letters to insert, to remove or to replace (Levenshtein)."""
    row = list(range(len(other) + 1))
    for i, x in enumerate(one, 1):
        last = row
        row = [i]
        for j, y in enumerate(other, 1):
            row.append(min(last[j] + 1, row[-1] + 1, last[j - 1] + (x != y)))
    return row[-1]


def sound(word: str) -> str:
    """The consonants, those that are mistaken for each other as one."""
    for letters, as_one in (("ph", "f"), ("ck", "k"), ("gh", ""), ("qu", "kw"), ("x", "ks")):
        word = word.replace(letters, as_one)
    word = word.translate(str.maketrans("cqzdbgvj", "kkstpkfk"))
    return re.sub(r"(.)\1+", r"\1", word[0] + re.sub("[aeiouyhw]", "", word[1:]))


@pytest.mark.parametrize("words", [FIRST, SECOND])
def test_words_cannot_be_mistaken_for_each_other(words: tuple[str, ...]) -> None:
    assert len(words) == len(set(words)) == 256
    assert all(re.fullmatch("[a-z]{4,8}", word) for word in words)
    assert len({word[:4] for word in words}) == 256
    assert len({sound(word) for word in words}) == 256
    near = [
        (one, other)
        for at, one in enumerate(words)
        for other in words[at + 1 :]
        if abs(len(one) - len(other)) < 3 and errors_between(one, other) < 3
    ]
    assert near == []


def test_no_word_is_in_both_lists() -> None:
    assert not set(FIRST) & set(SECOND)


@given(
    st.integers(1, MOST_NUMBER),
    st.integers(),
    st.sampled_from([None, Address("192.0.2.1", 6969), Address("2001:db8::1", 1)]),
)
@settings(max_examples=50)
def test_a_code_is_read_as_it_was_written(number: int, seed: int, at: Address | None) -> None:
    code = Code.draw(number, Random(seed), at)
    assert Code.parse(str(code)) == code
    assert is_code(str(code))


@pytest.mark.parametrize(
    "typed", ["7-acorn-abacus", " 7 Acorn ABACUS ", "7_acorn_abacus\n", "07 - acorn-abacus"]
)
def test_it_may_be_typed_as_people_type(typed: str) -> None:
    assert Code.parse(typed).secret == b"7-acorn-abacus"


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("7-acron-abacus", "no code has the word 'acron' there, did you mean 'acorn'?"),
        ("7-acorn-qqqqqqq", "no code has the word 'qqqqqqq' there"),
        ("7-abacus-acorn", "the words of the code are swapped: did you mean acorn-abacus?"),
        ("0-acorn-abacus", "the number of a code begins with 1"),
        ("7-acorn", "'7-acorn' is not a code such as 7-"),
        ("7-acorn-abacus@nowhere", "nowhere"),
    ],
)
def test_what_is_wrong_with_it_is_told_in_one_line(typed: str, told: str) -> None:
    with pytest.raises(FormatError, match=re.escape(told)):
        Code.parse(typed)


@given(st.text())
@settings(max_examples=50)
def test_any_text_is_a_code_or_a_format_error(text: str) -> None:
    try:
        code = Code.parse(text)
    except FormatError:
        return
    assert Code.parse(str(code)) == code


def test_what_a_torrent_may_be_called_is_no_code() -> None:
    for source in ("photos.torrent", "7-acorn.torrent", "http://h:1/t/x.torrent", "a" * 40, "7"):
        assert not is_code(source)
