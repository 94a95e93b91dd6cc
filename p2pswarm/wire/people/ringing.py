"""Being at home at a super node, and being rung there.

What two say to each other before they have a path is an offer: the super nodes on its way do not read it.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Self

from typing_extensions import override

from p2pswarm.formats.ids import Address
from p2pswarm.wire.people.dictionary import PeopleMessage
from p2pswarm.wire.people.frames import PeopleKind
from p2pswarm.wire.supernode.dictionary import BareMessage, Fields, Value, read_word
from p2pswarm.wire.supernode.packing import pack_address

__all__ = [
    "KEY_SIZE",
    "MAX_CERTIFICATE",
    "MAX_OFFER",
    "SESSION_SIZE",
    "SIGNATURE_SIZE",
    "Answer",
    "Cancel",
    "Decline",
    "No",
    "Prove",
    "Proved",
    "Ring",
    "Rung",
    "proof",
]

KEY_SIZE = 32  # ed25519
SIGNATURE_SIZE = 64
SESSION_SIZE = 16
MAX_OFFER = 4096
MAX_CERTIFICATE = 1024


class No(StrEnum):
    """Why nobody comes to the telephone."""

    OFFLINE = "offline"
    BUSY = "busy"
    REFUSED = "refused"
    TOO_OFTEN = "too-often"


def proof(nonce: bytes, node: bytes, at: Address) -> bytes:
    """What is signed to be at home: this connection's nonce, whose guest one is, and where one dialed."""
    return b"p2pswarm home " + nonce + node + pack_address(at)


@dataclass(frozen=True, slots=True)
class Prove(PeopleMessage):
    """I am whom this certificate names."""

    kind: ClassVar[int] = PeopleKind.PROVE

    certificate: bytes
    at: Address
    """Where I dialed."""
    signature: bytes
    """Of `proof` by the certified key."""

    @override
    def _written(self) -> dict[str, Value]:
        return {
            "at": pack_address(self.at),
            "certificate": self.certificate,
            "signature": self.signature,
        }

    @override
    @classmethod
    def read(cls, body: bytes) -> Self:
        fields = Fields(body)
        return cls(
            fields.within("certificate", 1, MAX_CERTIFICATE),
            fields.address("at"),
            fields.raw("signature", SIGNATURE_SIZE),
        )


@dataclass(frozen=True, slots=True)
class Proved(BareMessage, PeopleMessage):
    """You are at home here, and are rung under your key."""

    kind: ClassVar[int] = PeopleKind.PROVED


@dataclass(frozen=True, slots=True)
class Ring(PeopleMessage):
    """Ring the guest of this key."""

    kind: ClassVar[int] = PeopleKind.RING

    to: bytes
    session: bytes
    offer: bytes

    @override
    def _written(self) -> dict[str, Value]:
        return {"to": self.to, "session": self.session, "offer": self.offer}

    @override
    @classmethod
    def read(cls, body: bytes) -> Self:
        fields = Fields(body)
        return cls(
            fields.raw("to", KEY_SIZE),
            fields.raw("session", SESSION_SIZE),
            fields.within("offer", 1, MAX_OFFER),
        )


@dataclass(frozen=True, slots=True)
class _Offered(PeopleMessage):
    """What one of the two says to the other."""

    session: bytes
    offer: bytes

    @override
    def _written(self) -> dict[str, Value]:
        return {"session": self.session, "offer": self.offer}

    @override
    @classmethod
    def read(cls, body: bytes) -> Self:
        fields = Fields(body)
        return cls(fields.raw("session", SESSION_SIZE), fields.within("offer", 1, MAX_OFFER))


@dataclass(frozen=True, slots=True)
class Rung(_Offered):
    """Somebody rings you."""

    kind: ClassVar[int] = PeopleKind.RUNG


@dataclass(frozen=True, slots=True)
class Answer(_Offered):
    """Here is how I can be reached; from the callee to his home, and on to the caller."""

    kind: ClassVar[int] = PeopleKind.ANSWER


@dataclass(frozen=True, slots=True)
class Decline(PeopleMessage):
    """No; said by the callee, or by the super node for him."""

    kind: ClassVar[int] = PeopleKind.DECLINE

    session: bytes
    reason: No

    @override
    def _written(self) -> dict[str, Value]:
        return {"session": self.session, "reason": self.reason}

    @override
    @classmethod
    def read(cls, body: bytes) -> Self:
        fields = Fields(body)
        return cls(fields.raw("session", SESSION_SIZE), read_word(No, fields.text("reason")))


@dataclass(frozen=True, slots=True)
class Cancel(PeopleMessage):
    """I ring no longer; from the caller to the super node, and on to the callee."""

    kind: ClassVar[int] = PeopleKind.CANCEL

    session: bytes

    @override
    def _written(self) -> dict[str, Value]:
        return {"session": self.session}

    @override
    @classmethod
    def read(cls, body: bytes) -> Self:
        return cls(Fields(body).raw("session", SESSION_SIZE))
