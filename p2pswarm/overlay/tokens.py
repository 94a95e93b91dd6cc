"""A hit as one word that a person can copy, and as an object that a file can keep.

The word is short where the network can be asked again by hash, and says who has what otherwise:

    napster:btih:2fd4e1c67a2d28fced849ee1bb76e7391b93eb12
    napster://nick/5242880/0123456789abcdef0123456789abcdef/Music%5CBlue%20Moon.mp3
    gnutella://0123…@192.0.2.7:6346/5242880/-/Blue%20Moon.mp3/42

Magnet links and URNs of other programs name a file of Gnutella by its hash, too:

    magnet:?xt=urn:sha1:… or urn:bitprint:…

All come back from strangers' hands, so reading them is as strict as reading a message.
"""

import re
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote, unquote

from p2pswarm.errors import FormatError
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.formats.urns import read_urn
from p2pswarm.overlay.query import Digest, Hit

__all__ = ["Wanted", "as_fields", "from_fields", "parse_token", "token_of"]

T = TypeVar("T", int, float)

Wanted = Hit | tuple[str, Digest]
"""A hit, or what to ask a network for."""

_MOST = 4096  # characters
_MOST_NUMBER = 1 << 63  # no size, age or count comes near it
_BY_HASH = re.compile(r"([a-z]{1,16}):(btih|sha1):([0-9a-f]{40})")
_BY_HOST = re.compile(
    r"([a-z]{1,16})://([^/@\s]{1,200})(?:@([^/@\s]{1,100}))?"
    r"/([0-9]{1,18})/([0-9a-f]{32}|-)/([^/\s]+)(?:/([0-9]{1,10}))?"
)
# By which hash a network's hosts can be asked: Gnutella's foreign ones know no torrents.
_ASKED_BY = {"gnutella": "sha1"}
_MOST_PROXIES = 16
_SIZES = {"md5": 16, "sha1": 20, "tth": 24, "info_hash": 20}


def token_of(hit: Hit) -> str:
    """One word of ASCII that no shell looks at twice."""
    known = {digest.algorithm: digest.value for digest in hit.digests()}
    for algorithm in (_ASKED_BY.get(hit.network, "btih"), "btih", "sha1"):
        if algorithm in known:
            return f"{hit.network}:{algorithm}:{known[algorithm].hex()}"
    md5 = hit.md5.hex() if hit.md5 else "-"
    at = f"@{hit.host}" if hit.index is not None and hit.host else ""
    number = f"/{hit.index}" if hit.index is not None else ""
    return f"{hit.network}://{_quoted(hit.nick)}{at}/{hit.size}/{md5}/{_quoted(hit.name)}{number}"


def parse_token(text: str) -> Wanted:
    """Raises FormatError."""
    kind = text[:7].lower()
    if len(text) <= _MOST and (kind == "magnet:" or kind.startswith("urn:")):
        return "gnutella", _named_by(_topics(text) if kind == "magnet:" else [text])
    if len(text) <= _MOST and (found := _BY_HASH.fullmatch(text)):
        return found[1], Digest(found[2], bytes.fromhex(found[3]))
    if len(text) <= _MOST and (found := _BY_HOST.fullmatch(text)):
        network, nick, at, size, md5, name, index = found.groups()
        return Hit(
            name=unquote(name, errors="surrogateescape"),
            size=int(size),
            network=network,
            nick=unquote(nick),
            md5=None if md5 == "-" else bytes.fromhex(md5),
            host=None if at is None else Address.parse(at),
            index=None if index is None else int(index),
        )
    raise FormatError(f"{text[:60]!r} is not a hit, such as napster:btih:2fd4e1c6…")


def _topics(magnet: str) -> list[str]:
    """What it names, each in one way; a few of them may be numbered (`xt.1`)."""
    fields = parse_qsl(magnet.partition("?")[2])
    return [value for name, value in fields if name.lower().partition(".")[0] == "xt"]


def _named_by(urns: list[str]) -> Digest:
    """By its SHA-1, for which all programs can be asked. Raises FormatError."""
    for urn in urns:
        try:
            sha1 = read_urn(urn).sha1
        except FormatError:  # there are hashes of networks that we do not know
            continue
        if sha1 is not None:
            return Digest("sha1", sha1)
    raise FormatError("it is not a hit that Gnutella can be asked for: there is no SHA-1 in it")


def as_fields(hit: Hit) -> dict[str, Any]:
    """As JSON knows it, without what is not known."""
    fields: dict[str, Any] = {"name": hit.name, "size": hit.size, "network": hit.network}
    fields["nick"] = hit.nick
    for name in ("host", "peer"):
        address: Address | None = getattr(hit, name)
        fields[name] = None if address is None else [address.host, address.port]
    for name in _SIZES:
        value: bytes | None = getattr(hit, name)
        fields[name] = None if value is None else value.hex()
    fields |= {"seeds": hit.seeds, "age": hit.age, "index": hit.index}
    fields["firewalled"] = hit.firewalled or None
    fields["proxies"] = [[proxy.host, proxy.port] for proxy in hit.proxies] or None
    return {name: value for name, value in fields.items() if value is not None}


def from_fields(fields: Mapping[str, Any]) -> Hit:
    """Raises FormatError."""
    try:
        digest = {name: _digest(fields.get(name), size) for name, size in _SIZES.items()}
        info_hash = digest["info_hash"]
        return Hit(
            name=str(fields["name"]),
            size=_needed(fields["size"], int),
            network=str(fields["network"]),
            nick=str(fields.get("nick", "")),
            host=_address(fields.get("host")),
            peer=_address(fields.get("peer")),
            md5=digest["md5"],
            sha1=digest["sha1"],
            tth=digest["tth"],
            info_hash=None if info_hash is None else InfoHash(info_hash),
            seeds=_number(fields.get("seeds"), int),
            age=_number(fields.get("age"), float),
            index=_number(fields.get("index"), int),
            firewalled=fields.get("firewalled") is True,
            proxies=_addresses(fields.get("proxies")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"not a hit: {error}") from error


def _digest(text: str | None, size: int) -> bytes | None:
    """Raises ValueError, TypeError."""
    if text is None:
        return None
    value = bytes.fromhex(text)
    if len(value) != size:
        raise ValueError(f"a hash of {len(value)} bytes, not {size}")
    return value


def _number(value: Any, kind: type[T]) -> T | None:
    """Raises ValueError."""
    return None if value is None else _needed(value, kind)


def _needed(value: Any, kind: type[T]) -> T:
    """JSON as Python reads it also knows Infinity and NaN. Raises ValueError."""
    if type(value) not in (int, kind) or not 0 <= value < _MOST_NUMBER:
        raise ValueError(f"{value!r:.60} where a number belongs")
    return kind(value)


def _address(pair: Any) -> Address | None:
    """Raises ValueError, TypeError."""
    if pair is None:
        return None
    host, port = pair
    return Address(str(host), _needed(port, int))


def _addresses(pairs: Any) -> tuple[Address, ...]:
    """Raises ValueError, TypeError."""
    found = (_address(pair) for pair in (pairs or ())[:_MOST_PROXIES])
    return tuple(address for address in found if address is not None)


def _quoted(text: str) -> str:
    return quote(text, safe="", errors="surrogateescape")
