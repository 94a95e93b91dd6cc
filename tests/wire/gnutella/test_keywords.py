import pytest
from hypothesis import given, strategies as st

from p2pswarm.formats.words import plain, words_of
from p2pswarm.wire.gnutella.keywords import qrp_hash, words_for_table, words_of_query


# QRP 1.0, appendix A.
@pytest.mark.parametrize(
    ("bits", "word", "slot"),
    [
        (13, "", 0),
        (13, "eb", 6791),
        (13, "ebc", 7082),
        (13, "ebck", 6698),
        (13, "ebckl", 3179),
        (13, "ebcklm", 3235),
        (13, "ebcklme", 6438),
        (13, "ebcklmen", 1062),
        (13, "ebcklmenq", 3527),
        (16, "", 0),
        (16, "n", 65003),
        (16, "nd", 54193),
        (16, "ndf", 4953),
        (16, "ndfl", 58201),
        (16, "ndfla", 34830),
        (16, "ndflal", 36910),
        (16, "ndflale", 34586),
        (16, "ndflalem", 37658),
        (16, "ndflaleme", 45559),
        (10, "ol2j34lj", 318),
        (10, "asdfas23", 503),
        (10, "9um3o34fd", 758),
        (10, "a234d", 281),
        (10, "a3f", 767),
        (10, "3nja9", 581),
        (10, "3NJA9", 581),
        (10, "3nJa9", 581),
        (10, "2459345938032343", 146),
        (10, "7777a88a8a8a8", 342),
        (10, "asdfjklkj3k", 861),
        (10, "adfk32l", 1011),
        (10, "zzzzzzzzzzz", 944),
        (3, "test", 2),
        (3, "qrp", 7),
    ],
)
def test_slots_of_the_document(bits: int, word: str, slot: int) -> None:
    assert qrp_hash(word, bits) == slot


@given(st.text(), st.integers(3, 20))
def test_a_slot_of_a_smaller_table_covers_two(word: str, bits: int) -> None:
    assert qrp_hash(word, bits + 1) // 2 == qrp_hash(word, bits) < 1 << bits


def test_a_name_gives_its_words_and_their_beginnings() -> None:
    assert words_for_table("Blue_moon-OF.mp3") == ["blue", "blu", "moon", "moo", "mp3"]
    assert words_for_table("kentucky") == ["kentucky", "kentuck", "kentuc", "kentu"]
    assert words_for_table("abcde abcd") == ["abcde", "abcd", "abc"]
    assert words_for_table("a bc .. 1") == []


def test_accents_are_left_out() -> None:
    assert words_for_table("D\xe9j\xe0 VU") == words_for_table("Deja\u0301 vu") == ["deja", "dej"]
    assert words_of_query("na\xefve \uff26\uff35\uff2c\uff2c \u0130stanbul") == [
        "naive",
        "full",
        "istanbul",
    ]
    assert words_of_query("\u2121\u2121") == ["teltel"]


def test_words_of_other_scripts() -> None:
    assert words_of_query("\u041c\u041e\u0421\u041a\u0412\u0410") == [
        "\u043c\u043e\u0441\u043a\u0432\u0430"
    ]
    assert words_of_query("\ud55c\uad6d\uc5b4") == ["\ud55c\uad6d\uc5b4"]  # composed again
    assert words_of_query("\u0928\u092e\u0938\u094d\u0924\u0947") == [
        "\u0928\u092e\u0938\u094d\u0924"
    ]


def test_a_word_has_one_script() -> None:
    assert words_of_query("strasse\u0441\u043b\u043e\u043d12") == [
        "strasse",
        "\u0441\u043b\u043e\u043d",
    ]
    assert words_of_query("smørrebrød2 \u30ac\u30fc\u30c9\u3042\u3044\u3046\u6771\u4eac\u90fd") == [
        "smørrebrød2",
        "\u30ac\u30fc\u30c9",
        "\u3042\u3044\u3046",
        "\u6771\u4eac\u90fd",
    ]
    assert words_of_query("abc\u20dddef \U000f0000 a\u20ac\u20ac\u20acb") == ["abc", "def"]


def test_a_word_of_few_letters_and_three_bytes_is_in_the_table_and_not_asked_for() -> None:
    assert words_for_table("\u6620\u753b") == ["\u6620\u753b"]
    assert words_of_query("\u6620\u753b") == []
    assert words_for_table("\xf8l") == ["\xf8l"]
    assert words_for_table("ol") == []


@given(st.text(max_size=60))
def test_a_query_for_the_whole_name_finds_it(text: str) -> None:
    assert set(words_of_query(text)) <= set(words_for_table(text))


def test_what_a_stranger_sends_is_bounded() -> None:
    assert len(words_of_query(" ".join(f"{n:03}" for n in range(500)))) == 128
    assert len(words_for_table("x" * 100_000)[0]) == 4096


def test_a_ligature_of_eighteen_letters_is_not_a_long_text() -> None:
    assert sum(map(len, words_of_query("\ufdfa" * 1360))) <= 4 * 512 + 64
    assert len("".join(words_of_query("\ufdfa"))) == 15


def test_a_table_has_a_word_as_both_ways_of_folding_spell_it() -> None:
    assert {"straße", "strasse"} <= set(words_for_table("Straße.mp3"))


@given(st.text(max_size=40))
def test_whatever_our_catalog_finds_by_its_own_words_passes_the_table(text: str) -> None:
    asked = words_of_query(" ".join(plain(words_of(text))))
    assert set(asked) <= set(words_for_table(text))


letters = st.characters(max_codepoint=0x05FF, categories=["Lu", "Ll", "Lo", "Nd"])
kana_and_han = st.characters(min_codepoint=0x3041, max_codepoint=0x4FFF, categories=["Lo"])


@given(st.text(letters | kana_and_han | st.sampled_from(" ._-"), max_size=30))
def test_whatever_passes_a_table_word_by_word_is_found_by_our_catalog(text: str) -> None:
    have = plain(words_of(text))
    for word in words_of_query(text):
        assert set(plain(words_of(word))) <= set(have)
