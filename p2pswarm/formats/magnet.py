"""Magnet links: a torrent's name and where to ask for it, in one line (BEP 9, 53; BEP 52's `btmh`).

Links come from web pages and chats, so what is odd in them is left out and what is long is cut; only a link
that names no torrent at all is refused. A link may carry other networks' names of the same file: of several
`xt` those of BitTorrent are read.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qsl, quote

from typing_extensions import override

from p2pswarm.errors import FormatError
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.formats.metainfo import MAX_FILES, Metainfo
from p2pswarm.formats.names import Names
from p2pswarm.formats.urls import read_url
from p2pswarm.formats.urns import btih_urn, read_urn

__all__ = ["Magnet"]

_SCHEME = "magnet:?"
_MAX = 64 << 10  # characters of a link
_MAX_FIELDS = 1000
_MAX_NAME = 255  # characters
_MOST = 100  # trackers, web seeds, peers, runs of files: each
_MOST_NAMES = 10  # of the peers may be host names, which cost somebody a look-up each
_NUMBERED = re.compile(r"\.[0-9]{1,3}\Z")  # `xt.1`, `tr.2`: how some write a key that comes again
_SHA256_MULTIHASH = "1220"  # its code, and 32 bytes
_RUN = re.compile(r"([0-9]{1,6})(?:-([0-9]{1,6}))?\Z")


@dataclass(frozen=True, slots=True)
class Magnet:
    """At least one of `info_hash` (version 1) and `v2` (BEP 52: SHA-256) names the torrent."""

    info_hash: InfoHash | None = None
    v2: bytes | None = None
    name: str = ""
    """To show until the torrent says its own; printable."""
    trackers: tuple[str, ...] = ()
    web_seeds: tuple[str, ...] = ()
    peers: tuple[Address, ...] = ()
    """IP addresses, and some host names (BEP 9)."""
    select: tuple[range, ...] = ()
    """Numbers of the files that are wanted (BEP 53); empty for all."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a link. Raises FormatError for one that names no torrent."""
        text = text.strip().encode(errors="replace").decode()  # arguments may hold half characters
        if text[: len(_SCHEME)].lower() != _SCHEME or len(text) > _MAX:
            raise FormatError("not a magnet link, or one without end")
        try:
            pairs = parse_qsl(text[len(_SCHEME) :], max_num_fields=_MAX_FIELDS)
        except ValueError as error:
            raise FormatError("a magnet link of too many parts") from error
        said: dict[str, list[str]] = {}
        for key, value in pairs:
            name = _NUMBERED.sub("", key.lower().removeprefix("amp;"))  # copied out of HTML
            said.setdefault(name, []).append(value.strip())
        info_hash, v2 = _names(said.get("xt", ()))
        return cls(
            info_hash=info_hash,
            v2=v2,
            name=_printable(next(iter(said.get("dn", ())), "")),
            trackers=_urls(said.get("tr", ())),
            web_seeds=_urls(said.get("ws", ())),
            peers=_peers(said.get("x.pe", ())),
            select=_runs(",".join(said.get("so", ()))),
        )

    @classmethod
    def named(cls, text: str) -> Self:
        """The link that a bare info-hash is: 40 digits (or 32 of base32) for version 1, 64 for version 2, of
        which the multihash is known too. Raises FormatError."""
        digits = len(_SHA256_MULTIHASH) + 64
        if len(text) in (64, digits):
            return cls(v2=_multihash(text if len(text) == digits else _SHA256_MULTIHASH + text))
        return cls(info_hash=read_urn(f"urn:btih:{text}").info_hash)

    @classmethod
    def of(cls, metainfo: Metainfo, peers: Sequence[Address] = ()) -> Self:
        """The link to a torrent; `peers` are where it is known to be."""
        info_hash, v2 = Names.of(metainfo)
        return cls(
            info_hash=info_hash,
            v2=v2,
            name=metainfo.name,
            trackers=tuple(url for tier in metainfo.trackers for url in tier)[:_MOST],
            web_seeds=metainfo.web_seeds[:_MOST],
            peers=tuple(peers),
        )

    @property
    def names(self) -> Names:
        """What it names."""
        return Names(self.info_hash, self.v2)

    @override
    def __str__(self) -> str:
        parts = [f"xt={btih_urn(self.info_hash)}"] if self.info_hash else []
        if self.v2:
            parts.append(f"xt=urn:btmh:{_SHA256_MULTIHASH}{self.v2.hex()}")
        if self.name:
            parts.append(f"dn={quote(self.name, safe='')}")
        parts += [f"tr={quote(url, safe='')}" for url in self.trackers]
        parts += [f"ws={quote(url, safe='')}" for url in self.web_seeds]
        parts += [f"x.pe={quote(str(peer), safe=':[]')}" for peer in self.peers]
        if self.select:
            parts.append("so=" + ",".join(_run_text(run) for run in self.select))
        return _SCHEME + "&".join(parts)


def _names(topics: Iterable[str]) -> tuple[InfoHash | None, bytes | None]:
    """The first of each version. Raises FormatError when there is none."""
    info_hash: InfoHash | None = None
    v2: bytes | None = None
    complaint = "a magnet link that names no torrent"
    for topic in topics:
        try:
            if topic[:9].lower() == "urn:btmh:":
                v2 = v2 or _multihash(topic[9:])
            elif topic[:9].lower() == "urn:btih:":
                info_hash = info_hash or read_urn(topic).info_hash
        except FormatError as error:
            complaint = str(error)
    if info_hash is None and v2 is None:
        raise FormatError(complaint)
    return info_hash, v2


def _multihash(text: str) -> bytes:
    """The SHA-256 that BEP 52 names a torrent by. Raises FormatError."""
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    if len(raw) != 34 or raw[:2].hex() != _SHA256_MULTIHASH:
        raise FormatError(f"{text[:80]!r} is not the multihash of a SHA-256")
    return raw[2:]


def _urls(values: Iterable[str]) -> tuple[str, ...]:
    urls = (read_url(value.encode(errors="replace")) for value in values)
    return tuple(dict.fromkeys(url for url in urls if url is not None))[:_MOST]


def _peers(values: Iterable[str]) -> tuple[Address, ...]:
    found: dict[Address, None] = {}
    names = 0
    for value in values:
        try:
            address = Address.parse(value).normal
        except FormatError:
            continue
        names += address.ip is None
        if address.dialable or (address.ip is None and names <= _MOST_NAMES):
            found[address] = None
    return tuple(found)[:_MOST]


def _runs(text: str) -> tuple[range, ...]:
    """`0,2,4-8`: what is odd is left out."""
    runs = []
    for part in text.split(",", _MOST)[:_MOST]:
        match = _RUN.match(part.strip())
        if match is not None:
            first, last = int(match[1]), int(match[2] or match[1])
            if first <= last < MAX_FILES:
                runs.append(range(first, last + 1))
    return tuple(runs)


def _run_text(run: range) -> str:
    return f"{run.start}-{run[-1]}" if len(run) > 1 else f"{run.start}"


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text[:_MAX_NAME]).strip()
