"""Local service discovery (BEP 14): "who here has these torrents?", as HTTP written into a datagram.

A sender hears its own words, so each says a cookie that it knows again. Several info-hashes share a datagram,
as far as 1400 bytes go.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import Address, InfoHash

__all__ = ["GROUPS", "MAX_SEARCH", "LocalSearch", "searches"]

GROUPS = (Address("239.192.152.143", 6771), Address("ff15::efc0:988f", 6771))
MAX_SEARCH = 1400  # bytes
_MOST_HASHES = 20  # in one datagram of ours; each takes 52 bytes
_START = "BT-SEARCH * HTTP/1."
_HASH = re.compile(r"[0-9A-Fa-f]{40}")
_MAX_COOKIE = 100  # characters


@dataclass(slots=True)
class LocalSearch:
    """Somebody at `port` of the sender's address has, or wants, these."""

    port: int
    info_hashes: Sequence[InfoHash]
    cookie: str = ""

    def encode(self, group: Address) -> bytes:
        """For whoever listens to this group."""
        lines = ["BT-SEARCH * HTTP/1.1", f"Host: {group}", f"Port: {self.port}"]
        lines += [f"Infohash: {info_hash.hex().upper()}" for info_hash in self.info_hashes]
        if self.cookie:
            lines.append(f"cookie: {self.cookie}")
        return ("\r\n".join(lines) + "\r\n\r\n\r\n").encode()

    @classmethod
    def decode(cls, data: bytes) -> "LocalSearch":
        """Lines that are odd are left out; without a port it says nothing. Raises RemoteProtocolError."""
        text = data[: MAX_SEARCH + 1].decode("ascii", "replace")
        if len(data) > MAX_SEARCH or not text.startswith(_START):
            raise RemoteProtocolError("no BT-SEARCH")
        port, cookie, hashes = 0, "", dict[InfoHash, None]()
        for name, value in _headers(text):
            if name == "infohash" and _HASH.fullmatch(value):
                hashes[InfoHash(bytes.fromhex(value))] = None
            elif name == "port" and value.isdigit() and len(value) <= 5:
                port = int(value)
            elif name == "cookie":
                cookie = value[:_MAX_COOKIE]
        if not 0 < port < 65536:
            raise RemoteProtocolError("BT-SEARCH without a port")
        return cls(port, tuple(hashes), cookie)


def searches(port: int, info_hashes: Sequence[InfoHash], cookie: str) -> Iterator[LocalSearch]:
    """All of these in as few datagrams as they fit in."""
    for at in range(0, len(info_hashes), _MOST_HASHES):
        yield LocalSearch(port, info_hashes[at : at + _MOST_HASHES], cookie)


def _headers(text: str) -> Iterator[tuple[str, str]]:
    for line in text.split("\n")[1:]:
        name, colon, value = line.partition(":")
        if colon:
            yield name.strip().lower(), value.strip()
