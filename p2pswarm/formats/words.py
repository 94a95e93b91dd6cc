"""How a name becomes words, and what kind of file it names: one answer for every index and every query.

A word is a run of letters, digits and their marks, after NFKC and case folding, so that everything else
(blanks, slashes, `_.-`, quotes) separates. Names and queries take the same way; two that look alike find each
other. Nothing here grows with what a stranger sends: a name has so many words, a word so many characters.
"""

import re
import unicodedata
from collections.abc import Collection
from enum import StrEnum
from typing import NamedTuple

__all__ = ["MAX_WORD", "MAX_WORDS", "Asked", "Kind", "kind_of", "plain", "script_of", "words_of"]

MAX_WORDS = 64  # of one name or query; a path of 255 bytes with more is no name
MAX_WORD = 64  # characters; the rest of a longer one is dropped on both sides, so it still matches
_MAX_TEXT = 4096  # characters that are looked at

_ASCII_WORD = re.compile(r"[a-z0-9]+")


class Kind(StrEnum):
    """What a file is for, told by its extension; `ANY` is every other file, and in a query all of them."""

    ANY = "any"
    AUDIO = "audio"
    VIDEO = "video"
    IMAGE = "image"
    DOCUMENT = "document"
    ARCHIVE = "archive"
    SOFTWARE = "software"


_EXTENSIONS = {
    Kind.AUDIO: "aac ac3 aif aiff alac amr ape au flac m3u m4a m4b mid midi mka mod mp2 mp3 mpc oga ogg "
    "opus ra s3m spx tta wav wma wv xm",
    Kind.VIDEO: "3gp asf avi divx flv m2ts m4v mkv mov mp4 mpe mpeg mpg mts ogm ogv rm rmvb ts vob webm wmv",
    Kind.IMAGE: "ai apng avif bmp cr2 dng eps gif heic heif ico jp2 jpe jpeg jpg jxl nef pcx png ppm psd "
    "raw svg tga tif tiff webp xcf",
    Kind.DOCUMENT: "azw3 cbr cbz chm csv djvu doc docx epub fb2 htm html json log md mobi odp ods odt pdf "
    "ppt pptx ps rst rtf srt sub tex txt xls xlsx xml",
    Kind.ARCHIVE: "7z ace arj bz2 cab cpio gz lha lz4 lzh lzma rar tar tbz2 tgz txz xz z zip zst",
    Kind.SOFTWARE: "apk app appimage bat bin com deb dll dmg exe flatpak img ipa iso jar msi pkg py rom rpm "
    "run sh snap whl",
}
_KINDS = {extension: kind for kind, text in _EXTENSIONS.items() for extension in text.split()}


def kind_of(name: str) -> Kind:
    """By the extension alone: a name is all that a search sees."""
    stem, _, extension = name.rpartition(".")
    return _KINDS.get(extension.lower(), Kind.ANY) if stem else Kind.ANY


def words_of(text: str) -> list[str]:
    """The words of a name or path, each once, in order."""
    text = text[:_MAX_TEXT]
    found = _ASCII_WORD.findall(text.lower()) if text.isascii() else _any_script(text)
    return list(dict.fromkeys(word[:MAX_WORD] for word in found))[:MAX_WORDS]


def plain(words: Collection[str]) -> list[str]:
    """Words as they are compared, without accents and each of one script, as in Gnutella's route tables:
    who asks for `deja` finds `déjà`, and who asks for `東京` finds `東京タワー`."""
    found: dict[str, None] = {}
    for word in words:
        if word.isascii():
            found[word] = None
        else:
            found.update(dict.fromkeys(_plain_parts(word)))
    # Who asks for an accent alone does not ask for everything.
    return list(found or dict.fromkeys(words))


def _plain_parts(word: str) -> list[str]:
    flat = unicodedata.normalize("NFKD", word)
    bare = unicodedata.normalize("NFC", "".join(char for char in flat if not _is_accent(char)))
    parts: list[str] = []
    script = ""
    for char in bare:
        before, is_mark = script, unicodedata.category(char)[0] == "M"
        script = before if parts and is_mark else script_of(char)  # a mark goes with its letter
        if parts and script == before:
            parts[-1] += char
        else:
            parts.append(char)
    return parts


def script_of(char: str) -> str:
    """What cannot stand beside another in one word: the first word of its name, and Latin for digits."""
    return (
        "LATIN" if char.isascii() else re.split("[ -]", unicodedata.name(char, "?"), maxsplit=1)[0]
    )


def _is_accent(char: str) -> bool:
    """A mark that can be left out; nukta, virama, the voicing of kana and most vowels cannot."""
    return unicodedata.combining(char) not in (0, 7, 8, 9)


def _any_script(text: str) -> list[str]:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(char if _in_word(char) else " " for char in folded).split()


def _in_word(char: str) -> bool:
    # Marks are no letters to Python, but most scripts of India cannot be spelled without them.
    return char.isalnum() or unicodedata.category(char)[0] == "M"


class Asked(NamedTuple):
    """What a query asks of a name: all of `words`, none of `without`."""

    words: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Asked":
        """`blue moon -remix`: a part that begins with a minus must not be there."""
        wanted: list[str] = []
        unwanted: list[str] = []
        for part in text[:_MAX_TEXT].split():
            (unwanted if part.startswith("-") else wanted).append(part)
        return cls.of(" ".join(wanted), " ".join(unwanted))

    @classmethod
    def of(cls, wanted: str, unwanted: str = "") -> "Asked":
        """From two texts, as a form or a protocol has them."""
        return cls(tuple(words_of(wanted)), tuple(words_of(unwanted)))

    def matches(self, words: Collection[str]) -> bool:
        """Whether a name with these words is what was asked for."""
        have = frozenset(plain(words))
        return have.issuperset(plain(self.words)) and have.isdisjoint(plain(self.without))
