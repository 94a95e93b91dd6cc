"""Whether a node may serve: it is asked to, it asks others to dial it, and they measure what it sends.

The one who was dialed back proves by its nonce that it asked for it; nobody else can have us send him data.
"""

from dataclasses import dataclass
from hashlib import shake_128
from typing import ClassVar, Self

from typing_extensions import override

from p2pswarm.wire.supernode.dictionary import DictionaryMessage, Fields, Value
from p2pswarm.wire.supernode.frames import Frame, FrameKind
from p2pswarm.wire.supernode.hello import NONCE_SIZE
from p2pswarm.wire.supernode.hosts import Entry, pack_entries, read_entries
from p2pswarm.wire.supernode.packing import MAX_SIZE

__all__ = ["MAX_PROBE", "Data", "Invite", "Probe", "Test", "Verdict"]

MAX_PROBE = 64 << 10  # bytes; 160 kbit/s take 3.3 s for them


@dataclass(frozen=True, slots=True)
class Invite(DictionaryMessage):
    """Be a super node; these can test you."""

    kind: ClassVar[int] = FrameKind.INVITE

    hosts: tuple[Entry, ...] = ()

    @override
    def _written(self) -> dict[str, Value]:
        return {"hosts": pack_entries(self.hosts)}

    @override
    @classmethod
    def read(cls, body: bytes) -> Self:
        return cls(read_entries(Fields(body).raw("hosts")))


@dataclass(frozen=True, slots=True)
class Test(DictionaryMessage):
    """Dial me at this port of mine, and say this nonce."""

    kind: ClassVar[int] = FrameKind.TEST

    port: int
    nonce: bytes

    @override
    def _written(self) -> dict[str, Value]:
        return {"port": self.port, "nonce": self.nonce}

    @override
    @classmethod
    def read(cls, body: bytes) -> Self:
        fields = Fields(body)
        return cls(fields.number("port", 1, 65535), fields.raw("nonce", NONCE_SIZE))


@dataclass(frozen=True, slots=True)
class Verdict(DictionaryMessage):
    """What came of it."""

    kind: ClassVar[int] = FrameKind.VERDICT

    reachable: bool
    rate: int
    """Bytes a second that came."""
    text: str = ""

    @override
    def _written(self) -> dict[str, Value]:
        return {"reachable": self.reachable, "rate": self.rate, "text": self.text}

    @override
    @classmethod
    def read(cls, body: bytes) -> Self:
        fields = Fields(body)
        rate = fields.number("rate", 0, MAX_SIZE)
        return cls(fields.flag("reachable"), rate, fields.text("text"))


@dataclass(frozen=True, slots=True)
class Probe(DictionaryMessage):
    """Send me so many bytes, as fast as you can: those that grow from this seed."""

    kind: ClassVar[int] = FrameKind.PROBE

    size: int
    seed: bytes
    """Chosen now, so that nobody can send before he was asked what then seems to come at once."""

    @property
    def data(self) -> bytes:
        """What is to come."""
        return shake_128(self.seed).digest(self.size)

    @override
    def _written(self) -> dict[str, Value]:
        return {"size": self.size, "seed": self.seed}

    @override
    @classmethod
    def read(cls, body: bytes) -> Self:
        fields = Fields(body)
        return cls(fields.number("size", 1, MAX_PROBE), fields.raw("seed", NONCE_SIZE))


@dataclass(frozen=True, slots=True)
class Data:
    """The next of them."""

    kind: ClassVar[int] = FrameKind.DATA

    data: bytes

    def encode(self) -> Frame:
        """`MOST[FrameKind.DATA]` at most."""
        return Frame(self.kind, self.data)

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Anything will do."""
        return cls(body)
