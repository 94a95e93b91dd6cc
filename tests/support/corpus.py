"""Odd and hostile `.torrent` files, made here: what must be refused, and how, and what must not be.

`HOSTILE` maps a name to the bytes and to words that the error must hold. `ODD` maps a name to bytes that
are legal, or common enough to be read. `BOMBS` are what costs most to read, of any size.
"""

import gzip
from typing import Any, NamedTuple

from p2pswarm.formats.bencode import MAX_SIZE, MAX_TOKENS, encode
from p2pswarm.formats.metainfo import MAX_FILES
from tests.support.generations import contents, generation

__all__ = ["BOMBS", "HOSTILE", "ODD", "Bomb", "Hostile", "multi", "single", "torrent"]

HASH = b"\x11" * 20
PIECE = 1 << 14


class Hostile(NamedTuple):
    """A torrent to refuse, and what the one line says."""

    data: bytes
    words: str


def torrent(info: Any, top: dict[bytes, Any] | None = None) -> bytes:
    return encode({b"announce": b"http://tracker.example/announce", **(top or {}), b"info": info})


def single(changes: dict[bytes, Any] | None = None, top: dict[bytes, Any] | None = None) -> bytes:
    """A good torrent of one file of two pieces, with changes to `info` (None: no such key)."""
    good = {b"name": b"f", b"piece length": PIECE, b"length": PIECE + 1, b"pieces": HASH * 2}
    changed = {**good, **(changes or {})}
    return torrent({key: value for key, value in changed.items() if value is not None}, top)


def multi(*files: Any, changes: dict[bytes, Any] | None = None) -> bytes:
    """A torrent of `files`: dictionaries, or lists of path elements for one byte each."""
    entries = [{b"length": 1, b"path": file} if type(file) is list else file for file in files]
    lengths = [entry.get(b"length", 0) for entry in entries if isinstance(entry, dict)]
    count = -(-sum(lengths) // PIECE) if 0 <= sum(lengths) < 1 << 40 else 1
    info = {b"name": b"folder", b"piece length": PIECE, b"files": entries, b"pieces": HASH * count}
    return torrent({**info, **(changes or {})})


def raw(info: bytes) -> bytes:
    return b"d4:info" + info + b"e"


def _named(text: str) -> bytes:
    return single({b"name": text.encode()})


HOSTILE: dict[str, Hostile] = {
    # not bencode, or bencode with a trick
    "empty": Hostile(b"", "empty"),
    "web-page": Hostile(b"<!DOCTYPE html><html></html>", "not bencode"),
    "gzipped": Hostile(gzip.compress(single(), mtime=0), "not bencode"),
    "noise": Hostile(bytes(range(255, 127, -1)), "not bencode"),
    "cut-short": Hostile(single()[:-9], "past the end"),
    "cut-in-a-number": Hostile(b"d4:infoi12", "too early"),
    "trailing-bytes": Hostile(single() + b"\0\0", "2 bytes follow"),
    "two-torrents": Hostile(single() * 2, "bytes follow"),
    "nested-lists": Hostile(b"l" * 1_000_000, "nested deeper"),
    "nested-dictionaries": Hostile(b"d1:a" * 500_000, "nested deeper"),
    "nested-in-info": Hostile(raw(b"d1:a" + b"l" * 5000 + b"e" * 5001), "nested deeper"),
    "integer-leading-zero": Hostile(raw(b"d6:lengthi05ee"), "not canonical"),
    "integer-minus-zero": Hostile(raw(b"d6:lengthi-0ee"), "not canonical"),
    "integer-plus": Hostile(raw(b"d6:lengthi+5ee"), "not bencode"),
    "integer-underscore": Hostile(raw(b"d6:lengthi1_0ee"), "not bencode"),
    "integer-space": Hostile(raw(b"d6:lengthi 5ee"), "not bencode"),
    "integer-empty": Hostile(raw(b"d6:lengthiee"), "not bencode"),
    "integer-arabic": Hostile(raw("d6:lengthi\u0665ee".encode()), "not bencode"),
    "integer-million-digits": Hostile(raw(b"d6:lengthi" + b"9" * 1_000_000 + b"ee"), "digits"),
    "string-past-the-end": Hostile(raw(b"d4:name99:f"), "past the end"),
    "string-of-2^63": Hostile(raw(b"d4:name9223372036854775808:f"), "past the end"),
    "string-million-digits": Hostile(b"9" * 1_000_000 + b":f", "digits"),
    "string-leading-zero": Hostile(raw(b"d04:name1:fe"), "not canonical"),
    "string-negative": Hostile(b"d-4:infodee", "not bencode"),
    "key-integer": Hostile(b"di1e1:ae", "not a string"),
    "key-without-value": Hostile(b"d4:info1:a1:be", "without a value"),
    "key-twice": Hostile(b"d1:a1:x1:a1:ye", "twice"),
    "key-twice-in-info": Hostile(raw(b"d6:lengthi1e6:lengthi2ee"), "twice"),
    "info-twice": Hostile(b"d4:infod4:name1:ae4:infod4:name1:bee", "twice"),
    "end-alone": Hostile(b"e", "without a beginning"),
    # bencode, but no torrent
    "a-list": Hostile(b"le", "a list"),
    "a-string": Hostile(b"4:spam", "a string"),
    "an-integer": Hostile(b"i7e", "an integer"),
    "no-info": Hostile(encode({b"announce": b"http://t.example/"}), "info is missing"),
    "info-a-list": Hostile(torrent([]), "info is a list"),
    "info-a-string": Hostile(torrent(b"info"), "info is a string"),
    "info-empty": Hostile(torrent({}), "info.name is missing"),
    "file-tree-empty": Hostile(
        torrent({b"meta version": 2, b"name": b"f", b"piece length": PIECE, b"file tree": {}}),
        "holds no files",
    ),
    "file-tree-missing": Hostile(single({b"meta version": 2}), "info.file tree is missing"),
    "file-tree-of-no-version": Hostile(single({b"file tree": {}}), "info.meta version is not 2"),
    "version-3": Hostile(single({b"meta version": 3}), "meta version is 3"),
    "version-a-string": Hostile(single({b"meta version": b"2"}), "meta version is a string"),
    # wrong kinds, sizes that lie
    "name-missing": Hostile(single({b"name": None}), "info.name is missing"),
    "name-an-integer": Hostile(single({b"name": 5}), "info.name is an integer"),
    "piece-length-missing": Hostile(single({b"piece length": None}), "piece length is missing"),
    "piece-length-zero": Hostile(single({b"piece length": 0}), "piece length is 0"),
    "piece-length-negative": Hostile(single({b"piece length": -16384}), "piece length is -16384"),
    "piece-length-2^40": Hostile(
        single({b"piece length": 1 << 40}), "piece length is 1099511627776"
    ),
    "piece-length-a-string": Hostile(single({b"piece length": b"x"}), "piece length is a string"),
    "pieces-missing": Hostile(single({b"pieces": None}), "info.pieces is missing"),
    "pieces-a-list": Hostile(single({b"pieces": [HASH]}), "info.pieces is a list"),
    "pieces-empty": Hostile(single({b"pieces": b""}), "holds 0 hashes"),
    "pieces-cut": Hostile(single({b"pieces": HASH * 2 + b"x"}), "not a multiple of 20"),
    "pieces-too-few": Hostile(single({b"pieces": HASH}), "need 2"),
    "pieces-too-many": Hostile(single({b"pieces": HASH * 3}), "need 2"),
    "no-bytes": Hostile(single({b"length": 0, b"pieces": b""}), "have 0 bytes"),
    "no-bytes-in-files": Hostile(multi({b"length": 0, b"path": [b"a"]}), "have 0 bytes"),
    "pieces-2^36": Hostile(
        single({b"length": 1 << 50, b"piece length": PIECE}), "68719476736 pieces"
    ),
    "length-missing": Hostile(single({b"length": None}), "neither length nor files"),
    "length-negative": Hostile(single({b"length": -1}), "info.length is -1"),
    "length-2^63": Hostile(single({b"length": 1 << 63}), "info.length is 9223372036854775808"),
    "length-30-digits": Hostile(raw(b"d6:lengthi" + b"9" * 30 + b"ee"), "30 digits"),
    "length-a-string": Hostile(single({b"length": b"5"}), "info.length is a string"),
    "length-and-files": Hostile(multi([b"a"], changes={b"length": 1}), "both length and files"),
    "files-empty": Hostile(multi(), "info.files has 0 entries"),
    "files-a-dictionary": Hostile(multi(changes={b"files": {}}), "info.files is a dictionary"),
    "file-a-string": Hostile(multi(b"a"), "info.files[0] is a string"),
    "file-without-length": Hostile(multi({b"path": [b"a"]}), "files[0].length is missing"),
    "file-length-negative": Hostile(
        multi([b"a"], {b"length": -5, b"path": [b"b"]}), "files[1].length is -5"
    ),
    "file-lengths-overflow": Hostile(
        multi(*[{b"length": (1 << 63) - 1, b"path": [b"%d" % n]} for n in range(3)]),
        "2^63",
    ),
    "file-without-path": Hostile(multi({b"length": 1}), "files[0].path is missing"),
    "path-a-string": Hostile(multi({b"length": 1, b"path": b"a"}), "path is a string"),
    "path-empty": Hostile(multi([]), "path has 0 elements"),
    "path-of-integers": Hostile(multi([b"a", 5]), "not a string"),
    "private-a-string": Hostile(single({b"private": b"1"}), "info.private is a string"),
    "attr-an-integer": Hostile(single({b"attr": 1}), "info.attr is an integer"),
    "attr-symlink": Hostile(
        multi({b"length": 0, b"path": [b"a"], b"attr": b"l", b"symlink path": [b"..", b"etc"]}),
        "files[0].symlink path: '..' would lead out",
    ),
    # names and paths
    "name-empty": Hostile(_named(""), "is empty"),
    "name-dot": Hostile(_named("."), "lead out"),
    "name-dots": Hostile(_named(".."), "lead out"),
    "name-absolute": Hostile(_named("/etc/passwd"), "slash"),
    "name-climbs": Hostile(_named("../../.ssh/authorized_keys"), "slash"),
    "name-backslash": Hostile(_named("..\\..\\boot.ini"), "slash"),
    "name-drive": Hostile(_named("C:"), "colon"),
    "name-stream": Hostile(_named("readme.txt:hidden"), "colon"),
    "name-stream-of-data": Hostile(_named("readme::$DATA"), "colon"),
    "name-nul": Hostile(_named("photo.jpg\0.exe"), "NUL"),
    "name-newline": Hostile(_named("a\nb"), "control character"),
    "name-escape": Hostile(_named("\x1b]0;owned\x07"), "control character"),
    "name-c1": Hostile(_named("a\u009bb"), "control character"),
    "name-line-separator": Hostile(_named("a\u2028b"), "control character"),
    "name-device": Hostile(_named("CON"), "reserved"),
    "name-device-extension": Hostile(_named("aux.c"), "reserved"),
    "name-device-superscript": Hostile(_named("LPT\u00b9.txt"), "reserved"),
    "name-ends-with-space": Hostile(_named("file "), "ends with"),
    "name-three-dots": Hostile(_named("..."), "ends with"),
    "name-turned-around": Hostile(_named("photo\u202egpj.exe"), "turns text around"),
    "name-isolate": Hostile(_named("a\u2066b"), "turns text around"),
    "name-zero-width": Hostile(_named("a\u200bb"), "invisible"),
    "name-byte-order-mark": Hostile(_named("\ufeffa"), "invisible"),
    "name-only-joiners": Hostile(_named("\u200d\u200c"), "invisible"),
    "name-full-width-dots": Hostile(_named("\uff0e\uff0e"), "way out"),
    "name-dot-leader": Hostile(_named("\u2025"), "way out"),
    "name-full-width-climb": Hostile(_named("\uff0e\uff0e\uff0fetc"), "way out"),
    "name-joined-dots": Hostile(_named("\u200d..\u200d"), "way out"),
    "name-percent": Hostile(_named("%2e%2E"), "percent"),
    "name-percent-climbs": Hostile(_named("..%2f..%2fetc%2fpasswd"), "percent"),
    "name-utf-8-climbs": Hostile(single({b"name.utf-8": b".."}), "lead out"),
    "path-climbs": Hostile(multi([b"a", b"..", b"..", b"b"]), "lead out"),
    "path-absolute": Hostile(multi([b"", b"etc", b"passwd"]), "is empty"),
    "path-with-slash": Hostile(multi([b"a/../../b"]), "slash"),
    "path-second-file": Hostile(multi([b"a"], [b"b", b"nul.tar.gz"]), "files[1].path"),
    "path-utf-8-climbs": Hostile(
        multi({b"length": 1, b"path": [b"a"], b"path.utf-8": [b".."]}), "lead out"
    ),
    "path-too-deep": Hostile(multi([b"d"] * 101), "101 elements"),
    "path-too-long": Hostile(multi([b"d" * 250] * 20), "at most"),
    "path-only-dots-too-long": Hostile(multi([b"." * 300]), "ends with"),
}

_TINY = {b"name": b"f", b"piece length": 1, b"length": 1, b"pieces": HASH}

ODD: dict[str, bytes] = {
    "plain": single(),
    "plain-folder": multi([b"a"], [b"d", b"b"]),
    "name-with-colon": _named("Re:Zero, Film: Part 2.mkv"),
    "name-ends-with-dot": _named("R.E.M."),
    "unsorted-keys": b"d4:infod12:piece lengthi1e4:name1:f6:pieces20:%b6:lengthi1ee1:alee" % HASH,
    "unknown-keys": single(
        {b"x-cross-seed": b"abc", b"profiles": [{b"a": 1}]}, {b"azureus": {b"n": 1}}
    ),
    "no-tracker": encode({b"info": _TINY}),
    "latin-1-name": single({b"name": b"caf\xe9.txt"}),
    "latin-1-path": multi([b"stra\xdfe", b"\x93na\xefve\x94"]),
    "gbk-and-utf-8": single({b"name": b"\xd6\xd0\\", b"name.utf-8": "中".encode()}),
    "path-utf-8": multi({b"length": 1, b"path": [b"\xd6"], b"path.utf-8": ["中".encode()]}),
    "over-long-utf-8": single({b"name": b"\xc0\xae\xc0\xae"}),
    "hybrid": generation({"a.txt": b"a" * 5, "b.txt": b"b" * 7}, v1=True),
    "version-2": generation({"a": contents(PIECE + 1), "d/b": b"b", "empty": b""}),
    "executable": single({b"attr": b"xh"}),
    "private": single({b"private": 1}),
    "not-private": single({b"private": 0}),
    "empty-files": multi({b"length": 0, b"path": [b"a"]}, [b"b"], {b"length": 0, b"path": [b"c"]}),
    "piece-length-odd": single({b"piece length": 10_000}),
    "twins-of-case": multi([b"Makefile"], [b"makefile"], [b"MAKEFILE"]),
    "twins-of-form": multi(["\u00e9".encode()], ["e\u0301".encode()]),
    "twins-equal": multi(*[[b"a.txt"]] * 4),
    "file-and-folder": multi([b"a"], [b"a", b"b"]),
    "over-long-name": single({b"name": b"n" * 300 + b".mkv"}),
    "over-long-names": multi([b"n" * 300 + b"1.mkv"], [b"n" * 300 + b"2.mkv"]),
    "persian-joiner": _named("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645.txt"),
    "emoji-joiner": _named("👩\u200d🚀.jpg"),
    "full-width-slash": _named("Fate\uff0fZero"),
    "ellipsis": _named("Wait\u2026"),
    "looks-like-an-option": _named("-rf"),
    "looks-like-html": _named("<script>alert(1)<"),
    "hidden": _named(".bashrc"),
    "percent": _named("100%25.txt"),
    "device-inside": _named("console.con"),
    "announce-list-flat": single(
        top={b"announce-list": [b"http://a.example/", b"udp://b.example"]}
    ),
    "announce-list-junk": single(top={b"announce-list": [5, [b"\xff", 7, b"no url"], [], {}]}),
    "announce-an-integer": single(top={b"announce": 5}),
    "url-list-empty": single(top={b"url-list": b""}),
    "decoration-of-wrong-kind": single(
        {b"source": {}},
        {b"comment": 5, b"created by": [], b"creation date": b"today", b"encoding": 7},
    ),
    "date-of-the-far-future": single(top={b"creation date": 1 << 62}),
}


class Bomb(NamedTuple):
    """`unit` again and again: what costs most to read per byte."""

    before: bytes
    unit: bytes  # may hold one "%d" with a width: the number of the unit
    after: bytes
    tokens: int = 1  # in a unit

    def filled(self, size: int = MAX_SIZE) -> bytes:
        """At most `size` bytes and 3 million tokens, so that no cap ends the work early."""
        unit = self.unit % 0 if b"%" in self.unit else self.unit
        count = (size - len(self.before) - len(self.after)) // len(unit)
        count = min(count, (MAX_TOKENS - 100) // self.tokens)
        units = unit * count
        if b"%" in self.unit:
            units = b"".join(self.unit % number for number in range(count))
        return self.before + units + self.after


_FILES = b"d4:infod4:name1:f12:piece lengthi67108864e6:pieces20:" + HASH + b"5:files"
_ONE = b"d6:lengthi1e4:pathl1:aee"
_DEEP = b"d6:lengthi1e4:pathl" + b"1:\xe9" * 100 + b"ee"

BOMBS = {
    "integers": Bomb(b"d4:infod1:al", b"i0e", b"eee"),
    "empty-strings": Bomb(b"d4:infod1:al", b"0:", b"eee"),
    "short-strings": Bomb(b"d4:infod1:al", b"3:abc", b"eee"),
    "empty-lists": Bomb(b"d4:infod1:al", b"le", b"eee", 2),
    "empty-dictionaries": Bomb(b"d4:infod1:al", b"de", b"eee", 2),
    "small-dictionaries": Bomb(b"d4:infod1:al", b"d0:0:e", b"eee", 4),
    "nested-lists": Bomb(b"", b"l", b""),
    "digits": Bomb(b"i", b"9", b""),
    "keys": Bomb(b"d4:infod", b"7:%07d0:", b"ee", 2),
    "one-long-path": Bomb(_FILES + b"ld6:lengthi1e4:pathl", b"1:a", b"eeeee"),
    "too-many-files": Bomb(_FILES + b"l", _ONE, b"eee", 8),
    "equal-files": Bomb(_FILES + b"l", _ONE, b"eee", MAX_TOKENS // MAX_FILES),
    "latin-twins": Bomb(_FILES + b"l", b"d6:lengthi1e4:pathl" + b"1:\xe9" * 3 + b"ee", b"eee", 15),
    "deep-files": Bomb(_FILES + b"l", _DEEP, b"eee", 107),
    "trackers": Bomb(b"d13:announce-listl", b"l14:udp://h%07de", b"ee", 3),
}
