"""BEP 10's extended handshake: what each side can do beyond the base protocol.

The numbers in `m` are the ones *we* want to receive; to send, use the peer's. A handshake may be repeated: it
adds to what was said before, and what it leaves out stays as it was. Everything a peer says is cut to size
here, because it ends up in logs and on screens.
"""

from dataclasses import dataclass, field, fields
from typing import Any

from p2pswarm.formats import bencode
from p2pswarm.wire.extension.body import read_body
from p2pswarm.wire.extension.metadata import MAX_METADATA

__all__ = ["REQQ", "ExtendedHandshake"]

REQQ = 2000  # requests we queue for a peer; what libtorrent and Transmission advertise too
_MAX_HANDSHAKE = 64 << 10  # bytes; real ones have a few hundred
_MAX_NAMES = 100
_MAX_TOKENS = 1000  # values
_MAX_TEXT = 64


@dataclass(slots=True)
class ExtendedHandshake:
    """`port` is where the sender listens, `reqq` how many requests it queues, `yourip` how it sees us.

    None or empty: not said. `ipv4` and `ipv6` are other addresses of the sender, `metadata_size` the bytes of
    its info dictionary, `encryption` whether it prefers encrypted connections (`e`).
    """

    messages: dict[str, int] = field(default_factory=dict)
    version: str = ""
    port: int | None = None
    reqq: int | None = None
    yourip: bytes = b""
    upload_only: bool | None = None
    ipv4: bytes = b""
    ipv6: bytes = b""
    metadata_size: int | None = None
    encryption: bool | None = None

    def encode(self) -> bytes:
        """The payload of an Extended message with id 0."""
        body: dict[bytes, Any] = {
            b"m": {name.encode(): number for name, number in self.messages.items()},
            b"v": self.version.encode(),
            b"p": self.port,
            b"reqq": self.reqq,
            b"yourip": self.yourip or None,
            b"ipv4": self.ipv4 or None,
            b"ipv6": self.ipv6 or None,
            b"metadata_size": self.metadata_size,
            b"upload_only": None if self.upload_only is None else int(self.upload_only),
            b"e": None if self.encryption is None else int(self.encryption),
        }
        return bencode.encode({key: value for key, value in body.items() if value is not None})

    @classmethod
    def decode(cls, payload: bytes) -> "ExtendedHandshake":
        """Read what a peer sent; odd entries are left out. Raises RemoteProtocolError when it is junk."""
        body, _ = read_body(
            "extended handshake", payload, most=_MAX_HANDSHAKE, tokens=_MAX_TOKENS, depth=10
        )
        return cls(
            messages=_messages(body.get(b"m")),
            version=_text(body.get(b"v")),
            port=_number(body.get(b"p"), 65535),
            reqq=_number(body.get(b"reqq"), 1 << 20),
            yourip=_ip(body.get(b"yourip"), 4, 16),
            upload_only=_yes(body.get(b"upload_only")),
            ipv4=_ip(body.get(b"ipv4"), 4),
            ipv6=_ip(body.get(b"ipv6"), 16),
            metadata_size=_number(body.get(b"metadata_size"), MAX_METADATA),
            encryption=_yes(body.get(b"e")),
        )

    def and_then(self, later: "ExtendedHandshake") -> "ExtendedHandshake":
        """Both together: `later` was said after this, and 0 in its `m` switches a message off."""
        both = ExtendedHandshake()
        for each in fields(self):
            said = getattr(later, each.name)
            kept = said if said is not None and said not in ("", b"") else getattr(self, each.name)
            setattr(both, each.name, kept)
        together = {**self.messages, **later.messages}
        both.messages = dict(list(together.items())[:_MAX_NAMES])
        return both

    def number(self, name: str) -> int:
        """Under which number the sender wants to hear this; 0 when it does not."""
        return self.messages.get(name, 0)


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


def _yes(value: object) -> bool | None:
    """Some clients write numbers as text."""
    if value in (1, b"1"):
        return True
    return False if value in (0, b"0") else None


def _ip(value: object, *sizes: int) -> bytes:
    return value if isinstance(value, bytes) and len(value) in sizes else b""


def _text(value: object) -> str:
    if not isinstance(value, bytes):
        return ""
    text = value[:_MAX_TEXT].decode("utf-8", "replace")
    return "".join(char if char.isprintable() else "?" for char in text)
