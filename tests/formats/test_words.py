import unicodedata

import pytest
from hypothesis import given, strategies as st

from p2pswarm.formats.words import MAX_WORD, MAX_WORDS, Asked, Kind, kind_of, plain, words_of


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Blue Moon.mp3", ["blue", "moon", "mp3"]),
        (
            r"\music\Artist_Name - 01-Title (live).OGG",
            ["music", "artist", "name", "01", "title", "live", "ogg"],
        ),
        ("a/b/a", ["a", "b"]),
        ("don't", ["don", "t"]),
        ("\uff26\uff35\uff2c\uff2c width \u21165", ["full", "width", "no5"]),
        ("Straße STRASSE", ["strasse"]),
        ("Bjo\u0308rk Bj\u00f6rk", ["bj\u00f6rk"]),
        ("हिन्दी_गीत", ["हिन्दी", "गीत"]),
        ("Привет.МИР", ["привет", "мир"]),
        ("", []),
        ("--- ... ///", []),
        ("\0\n\t\x1b[31m", ["31m"]),
    ],
)
def test_a_name_becomes_words(name: str, words: list[str]) -> None:
    assert words_of(name) == words


@given(st.text(max_size=300))
def test_words_are_made_of_nothing_else_and_bounded(text: str) -> None:
    words = words_of(text)
    assert len(words) == len(set(words)) <= MAX_WORDS
    for word in words:
        assert 0 < len(word) <= MAX_WORD
        assert all(c.isalnum() or unicodedata.category(c).startswith("M") for c in word)


@given(st.text(max_size=60))
def test_what_looks_alike_finds_each_other(text: str) -> None:
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert Asked.of(text).matches(words_of(unicodedata.normalize(form, text)))


@given(st.lists(st.text(st.characters(categories=["L", "N", "M"]), min_size=1), max_size=5))
def test_a_name_is_found_by_its_own_words_in_any_order(parts: list[str]) -> None:
    name = "_".join(parts)
    assert Asked(tuple(reversed(words_of(name)))).matches(words_of(name))
    assert words_of(" ".join(words_of(name))) == words_of(name)


@given(st.text(st.characters(codec="ascii"), max_size=200))
def test_ascii_takes_a_short_way_to_the_same_words(text: str) -> None:
    assert words_of(text) == words_of(text + " \u00e9")[: len(words_of(text))]


def test_nothing_grows_with_what_is_sent() -> None:
    assert words_of("x" * 1_000_000) == ["x" * MAX_WORD]
    assert len(words_of(" ".join(map(str, range(100_000))))) == MAX_WORDS
    assert Asked.of("x" * 100).matches(words_of("x" * 200))


def test_a_query_has_words_and_exclusions() -> None:
    asked = Asked.parse("blue moon -remix -Live! well-known")
    assert asked == Asked(("blue", "moon", "well", "known"), ("remix", "live"))
    assert asked.matches(words_of("a Well known blue.moon"))
    assert not asked.matches(words_of("a well known blue moon (live)"))
    assert not asked.matches(["blue", "moon"])
    assert asked.matches({"well", "known", "blue", "moon"})
    assert Asked.parse("").matches(["anything"])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.mp3", Kind.AUDIO),
        ("a.MKV", Kind.VIDEO),
        ("a.b.jpeg", Kind.IMAGE),
        ("paper.pdf", Kind.DOCUMENT),
        ("src.tar.gz", Kind.ARCHIVE),
        ("setup.exe", Kind.SOFTWARE),
        ("a.mp3.mp3", Kind.AUDIO),
        ("README", Kind.ANY),
        ("mp3", Kind.ANY),
        (".mp3", Kind.ANY),
        ("a.mp3 ", Kind.ANY),
        ("", Kind.ANY),
    ],
)
def test_the_extension_tells_the_kind(name: str, kind: Kind) -> None:
    assert kind_of(name) is kind


def test_words_are_compared_script_by_script() -> None:
    assert words_of("東京タワー") == ["東京タワー"]
    assert plain(["東京タワー", "abc12", "\u0441\u043b\u043e\u043d12"]) == [
        "東京",
        "タワー",
        "abc12",
        "\u0441\u043b\u043e\u043d",
        "12",
    ]
    assert Asked.of("東京").matches(words_of("東京タワー.jpg"))


def test_accents_are_told_and_not_compared() -> None:
    assert words_of("Déjà") == ["déjà"]
    assert plain(["déjà", "deja", "nai\u0308ve", "\u0301", "हिन्दी", "が"]) == [
        "deja",
        "naive",
        "हिन्दी",
        "が",
    ]
    for asked in ("Deja vu", "De\u0301jà VU"):
        assert Asked.of(asked).matches(words_of("déjà vu.ogg"))
        assert Asked.of(asked).matches(words_of("deja vu.ogg"))
    assert not Asked.of("vu", "deja").matches(words_of("déjà vu.ogg"))


@pytest.mark.parametrize("accent", ["\u0301", "\u00b4", "\u00a8 \u02dc"])
def test_who_asks_for_accents_alone_does_not_ask_for_everything(accent: str) -> None:
    assert not Asked.of(accent).matches(words_of("Déjà vu.ogg"))
    assert Asked.of(f"vu {accent}").matches(words_of("Déjà vu.ogg"))


@given(st.text(max_size=60))
def test_plain_words_stay_as_they_are(text: str) -> None:
    assert plain(plain(words_of(text))) == plain(words_of(text))
