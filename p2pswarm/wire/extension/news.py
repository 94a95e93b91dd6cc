"""Two messages of one fact each: a piece that is gone (BEP 54), and that a peer only uploads (BEP 21)."""

from dataclasses import dataclass

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import PieceIndex

__all__ = ["DontHave", "UploadOnly"]


@dataclass(slots=True)
class DontHave:
    """lt_donthave: the sender no longer has this piece."""

    piece: PieceIndex

    def encode(self) -> bytes:
        return self.piece.to_bytes(4, "big")

    @classmethod
    def decode(cls, payload: bytes) -> "DontHave":
        """Raises RemoteProtocolError."""
        if len(payload) != 4:
            raise RemoteProtocolError(f"lt_donthave: {len(payload)} bytes")
        return cls(PieceIndex(int.from_bytes(payload, "big")))


@dataclass(slots=True)
class UploadOnly:
    """upload_only: whether the sender wants nothing more, while the connection lasts."""

    on: bool

    def encode(self) -> bytes:
        return bytes((self.on,))

    @classmethod
    def decode(cls, payload: bytes) -> "UploadOnly":
        """Raises RemoteProtocolError."""
        if len(payload) != 1:
            raise RemoteProtocolError(f"upload_only: {len(payload)} bytes")
        return cls(payload != b"\0")
