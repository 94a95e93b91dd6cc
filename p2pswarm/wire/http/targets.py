"""What an HTTP request between servents can be about: the part after the method, as values.

A file is named by its hash (`/uri-res/N2R?`, HUGE), or by index and name as in a query hit (`/get/`). Nothing
here is a path of the disk, and nothing else is understood.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from typing_extensions import override

from p2pswarm.errors import FormatError
from p2pswarm.formats.ids import InfoHash
from p2pswarm.formats.urns import base32, read_base32, read_urn

__all__ = [
    "Browse",
    "ByHash",
    "ByIndex",
    "PushProxy",
    "Target",
    "TorrentOf",
    "TreeOf",
    "read_target",
]

MOST_TARGET = 2048  # characters
_ORIGIN = re.compile(r"https?://[^/]*", re.IGNORECASE)
_GET = re.compile(r"/get/([0-9]{1,10})/(.+)", re.IGNORECASE | re.DOTALL)
_TORRENT = re.compile(r"/p2pswarm/torrent/([0-9a-f]{40})", re.IGNORECASE)
_HEX_GUID = re.compile(r"[0-9a-f]{32}", re.IGNORECASE)
_SERVENT, _TTH = 16, 24  # bytes


@dataclass(frozen=True, slots=True)
class ByHash:
    """The file with this SHA-1."""

    sha1: bytes

    @override
    def __str__(self) -> str:
        return f"/uri-res/N2R?urn:sha1:{base32(self.sha1)}"


@dataclass(frozen=True, slots=True)
class TreeOf:
    """The tiger tree of the file with this SHA-1, as DIME (THEX); its root where it was told."""

    sha1: bytes
    root: bytes | None = None

    @override
    def __str__(self) -> str:
        root = "" if self.root is None else f";{base32(self.root)}"
        return f"/uri-res/N2X?urn:sha1:{base32(self.sha1)}{root}"


@dataclass(frozen=True, slots=True)
class ByIndex:
    """The file with this number, if that is its name."""

    index: int
    name: str

    @override
    def __str__(self) -> str:
        return f"/get/{self.index}/{quote(self.name, safe='')}"


@dataclass(frozen=True, slots=True)
class Browse:
    """All files."""

    @override
    def __str__(self) -> str:
        return "/"


@dataclass(frozen=True, slots=True)
class PushProxy:
    """Somebody wants to be dialed by the servent that we are a push proxy of."""

    servent: bytes

    @override
    def __str__(self) -> str:
        return f"/gnutella/push-proxy?ServerId={base32(self.servent)}"


@dataclass(frozen=True, slots=True)
class TorrentOf:
    """Ours: the torrent of a shared file, by its info-hash."""

    info_hash: InfoHash

    @override
    def __str__(self) -> str:
        return f"/p2pswarm/torrent/{self.info_hash.hex()}"


Target = ByHash | TreeOf | ByIndex | Browse | PushProxy | TorrentOf


def read_target(text: str) -> Target | None:
    """None for what nobody gives here."""
    origin = _ORIGIN.match(text)
    text = text[origin.end() :] or "/" if origin else text
    if len(text) > MOST_TARGET or not text.startswith("/"):
        return None
    path, _, query = text.partition("?")
    match path.lower():
        case "/":
            return Browse()
        case "/uri-res/n2r":
            return _by_hash(unquote(query))
        case "/uri-res/n2x":
            return _tree(unquote(query))
        case "/gnutella/push-proxy" | "/gnet/push-proxy":
            return _push_proxy(query)
        case _:
            return _by_path(text)


def _by_hash(urn: str) -> ByHash | None:
    sha1 = _sha1(urn)
    return None if sha1 is None else ByHash(sha1)


def _tree(urn: str) -> TreeOf | None:
    urn, semicolon, text = urn.partition(";")
    sha1, root = _sha1(urn), _binary(text.strip(), _TTH)
    return None if sha1 is None or (semicolon and root is None) else TreeOf(sha1, root)


def _sha1(urn: str) -> bytes | None:
    try:
        return read_urn(urn).sha1
    except FormatError:
        return None


def _push_proxy(query: str) -> PushProxy | None:
    """Base32 of LimeWire, hex of the older ones; which is told by the length."""
    for part in query.split("&"):
        key, _, value = part.partition("=")
        if key.lower() in {"serverid", "guid"}:
            if _HEX_GUID.fullmatch(value):
                return PushProxy(bytes.fromhex(value))
            servent = _binary(unquote(value).rstrip("="), _SERVENT)
            return None if servent is None else PushProxy(servent)
    return None


def _by_path(text: str) -> Target | None:
    torrent = _TORRENT.fullmatch(text)
    if torrent is not None:
        return TorrentOf(InfoHash(bytes.fromhex(torrent[1])))
    found = _GET.fullmatch(text)
    if found is None:
        return None
    # Old servents send names as they are, with a "?" perhaps; others end them with "/".
    return ByIndex(int(found[1]), unquote(found[2], errors="replace").removesuffix("/"))


def _binary(text: str, size: int) -> bytes | None:
    try:
        return read_base32(text, size)
    except FormatError:
        return None
