"""BEP 10's extended handshake: what each side can do beyond the base protocol.

The numbers in `m` are the ones *we* want to receive; to send, use the peer's. Everything a peer says is
cut to size here, because it ends up in logs and on screens.
"""

from dataclasses import dataclass, field
from typing import Any

from p2pswarm.errors import BencodeError, RemoteProtocolError
from p2pswarm.formats import bencode

__all__ = ["REQQ", "ExtendedHandshake"]

REQQ = 2000  # requests we queue for a peer; what libtorrent and Transmission advertise too
_MAX_HANDSHAKE = 64 << 10  # bytes; real ones have a few hundred
_MAX_NAMES = 100
_MAX_TEXT = 64


@dataclass(slots=True)
class ExtendedHandshake:
    """`port` is where the sender listens, `reqq` how many requests it queues, `yourip` how it sees us."""

    messages: dict[str, int] = field(default_factory=dict)
    version: str = ""
    port: int | None = None
    reqq: int | None = None
    yourip: bytes = b""
    upload_only: bool = False

    def encode(self) -> bytes:
        """The payload of an Extended message with id 0."""
        body: dict[bytes, Any] = {
            b"m": {name.encode(): number for name, number in self.messages.items()},
            b"v": self.version.encode(),
        }
        if self.port is not None:
            body[b"p"] = self.port
        if self.reqq is not None:
            body[b"reqq"] = self.reqq
        if self.yourip:
            body[b"yourip"] = self.yourip
        if self.upload_only:
            body[b"upload_only"] = 1
        return bencode.encode(body)

    @classmethod
    def decode(cls, payload: bytes) -> "ExtendedHandshake":
        """Read what a peer sent; odd entries are left out. Raises RemoteProtocolError when it is junk."""
        try:
            # libtorrent sends trailing bytes in some versions, so only the prefix has to be bencode.
            body, _ = bencode.decode_prefix(payload, max_depth=10, max_size=_MAX_HANDSHAKE)
        except BencodeError as error:
            raise RemoteProtocolError(f"extended handshake: {error}") from error
        if not isinstance(body, dict):
            raise RemoteProtocolError("extended handshake: not a dictionary")
        yourip = body.get(b"yourip", b"")
        return cls(
            messages=_messages(body.get(b"m")),
            version=_text(body.get(b"v")),
            port=_number(body.get(b"p"), 65535),
            reqq=_number(body.get(b"reqq"), 1 << 20),
            yourip=yourip if isinstance(yourip, bytes) and len(yourip) in (4, 16) else b"",
            upload_only=body.get(b"upload_only") in (1, b"1"),
        )


def _messages(value: object) -> dict[str, int]:
    if not isinstance(value, dict):
        return {}
    pairs = list(value.items())[:_MAX_NAMES]
    return {
        _text(name): number
        for name, number in pairs
        if isinstance(number, int) and 0 <= number < 256 and name
    }


def _number(value: object, most: int) -> int | None:
    return value if isinstance(value, int) and 0 < value <= most else None


def _text(value: object) -> str:
    if not isinstance(value, bytes):
        return ""
    text = value[:_MAX_TEXT].decode("utf-8", "replace")
    return "".join(char if char.isprintable() else "?" for char in text)
