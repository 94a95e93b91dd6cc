"""The first words of a stream and the last: who comes and what for, and where to go instead."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Self

from typing_extensions import override

from p2pswarm.formats.ids import Address
from p2pswarm.wire.people.dictionary import PeopleMessage
from p2pswarm.wire.people.frames import PeopleKind
from p2pswarm.wire.people.nodes import SuperNode, pack_nodes, read_nodes
from p2pswarm.wire.supernode.dictionary import BareMessage, Fields, Value, read_word
from p2pswarm.wire.supernode.hello import Reason
from p2pswarm.wire.supernode.packing import pack_address

__all__ = [
    "NONCE_SIZE",
    "OTHERS_MOST",
    "VERSION",
    "Bye",
    "Hello",
    "Ping",
    "Pong",
    "Reason",
    "Refuse",
    "Want",
    "Welcome",
]

VERSION = 1
NONCE_SIZE = 32
OTHERS_MOST = 24
_MAX_VERSION = 0xFFFF


class Want(StrEnum):
    """What somebody comes for."""

    HOME = "home"  # to be rung here
    RELAY = "relay"
    VISIT = "visit"  # some questions, and goes


@dataclass(frozen=True, slots=True)
class Hello(PeopleMessage):
    """Whoever dialed says this first."""

    kind: ClassVar[int] = PeopleKind.HELLO

    node: bytes
    want: Want
    port: int
    """Where it listens; the host is where it comes from."""
    version: int = VERSION

    @override
    def _written(self) -> dict[str, Value]:
        return {
            "node": self.node,
            "want": self.want,
            "port": self.port,
            "version": self.version,
        }

    @override
    @classmethod
    def read(cls, body: bytes) -> Self:
        fields = Fields(body)
        return cls(
            fields.node(),
            read_word(Want, fields.text("want")),
            fields.number("port", 1, 65535),
            fields.number("version", 1, _MAX_VERSION),
        )


@dataclass(frozen=True, slots=True)
class Welcome(PeopleMessage):
    """Whoever was dialed takes the other in."""

    kind: ClassVar[int] = PeopleKind.WELCOME

    node: bytes
    you: Address
    """Where the connection comes from."""
    nonce: bytes
    """To be signed by whoever wants to be at home here."""
    relays: bool
    """Whether it consents to relay."""

    @override
    def _written(self) -> dict[str, Value]:
        return {
            "node": self.node,
            "you": pack_address(self.you),
            "nonce": self.nonce,
            "relays": self.relays,
        }

    @override
    @classmethod
    def read(cls, body: bytes) -> Self:
        fields = Fields(body)
        return cls(
            fields.node(),
            fields.address("you"),
            fields.raw("nonce", NONCE_SIZE),
            fields.flag("relays"),
        )


@dataclass(frozen=True, slots=True)
class Refuse(PeopleMessage):
    """Whoever was dialed does not, and hangs up."""

    kind: ClassVar[int] = PeopleKind.REFUSE

    reason: Reason
    text: str
    nodes: tuple[SuperNode, ...] = ()
    """To try instead."""

    @override
    def _written(self) -> dict[str, Value]:
        return {"reason": self.reason, "text": self.text, "nodes": pack_nodes(self.nodes)}

    @override
    @classmethod
    def read(cls, body: bytes) -> Self:
        fields = Fields(body)
        return cls(
            read_word(Reason, fields.text("reason")),
            fields.text("text"),
            read_nodes(fields.raw("nodes"), OTHERS_MOST),
        )


@dataclass(frozen=True, slots=True)
class Bye(PeopleMessage):
    """The connection ends now; a super node that ends tells its guests where to go."""

    kind: ClassVar[int] = PeopleKind.BYE

    text: str
    nodes: tuple[SuperNode, ...] = ()

    @override
    def _written(self) -> dict[str, Value]:
        return {"text": self.text, "nodes": pack_nodes(self.nodes)}

    @override
    @classmethod
    def read(cls, body: bytes) -> Self:
        fields = Fields(body)
        return cls(fields.text("text"), read_nodes(fields.raw("nodes"), OTHERS_MOST))


@dataclass(frozen=True, slots=True)
class Ping(BareMessage, PeopleMessage):
    """Are you there?"""

    kind: ClassVar[int] = PeopleKind.PING


@dataclass(frozen=True, slots=True)
class Pong(BareMessage, PeopleMessage):
    """Yes."""

    kind: ClassVar[int] = PeopleKind.PONG
