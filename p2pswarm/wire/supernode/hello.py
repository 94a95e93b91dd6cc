"""The first words and the last: who comes and what for, whether it may, and where to go instead."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Self

from typing_extensions import override

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.wire.supernode.dictionary import DictionaryMessage, Fields, Value, read_word
from p2pswarm.wire.supernode.frames import FrameKind
from p2pswarm.wire.supernode.hosts import Entry, pack_entries, read_entries
from p2pswarm.wire.supernode.packing import pack_address

__all__ = [
    "MAX_COUNT",
    "NONCE_SIZE",
    "VERSION",
    "Bye",
    "Hello",
    "Reason",
    "Refuse",
    "Want",
    "Welcome",
]

VERSION = 1
NONCE_SIZE = 16
MAX_AGENT = 64  # bytes
MAX_COUNT = 0xFFFF  # children or links of one super node
_MAX_VERSION = 0xFFFF


class Want(StrEnum):
    """What somebody comes for."""

    PARENT = "parent"
    LINK = "link"
    VISIT = "visit"  # one question, and goes
    TEST = "test"  # was asked to see whether this node can be dialed


class Reason(StrEnum):
    """Why somebody may not stay."""

    FULL = "full"
    NOT_SUPER = "not-super"
    TOO_OFTEN = "too-often"
    NOT_WANTED = "not-wanted"
    VERSION = "version"
    SELF = "self"


@dataclass(frozen=True, slots=True)
class Hello(DictionaryMessage):
    """Whoever dialed says this first."""

    kind: ClassVar[int] = FrameKind.HELLO

    node: bytes
    port: int
    """Where it listens; the host is where it comes from."""
    want: Want
    agent: str
    willing: bool
    """To become a super node."""
    firewalled: bool
    nonce: bytes = b""
    """With TEST alone: the one that the tested node gave out."""
    version: int = VERSION

    @override
    def _written(self) -> dict[str, Value]:
        nonce: dict[str, Value] = {"nonce": self.nonce} if self.nonce else {}
        return nonce | {
            "node": self.node,
            "port": self.port,
            "want": self.want,
            "agent": self.agent,
            "willing": self.willing,
            "firewalled": self.firewalled,
            "version": self.version,
        }

    @override
    @classmethod
    def read(cls, body: bytes) -> Self:
        fields = Fields(body)
        want = read_word(Want, fields.text("want"))
        if ("nonce" in fields) != (want is Want.TEST):
            raise RemoteProtocolError("a nonce comes with a test, and with nothing else")
        return cls(
            fields.node(),
            fields.number("port", 1, 65535),
            want,
            fields.text("agent", MAX_AGENT),
            fields.flag("willing"),
            fields.flag("firewalled"),
            fields.raw("nonce", NONCE_SIZE) if want is Want.TEST else b"",
            fields.number("version", 1, _MAX_VERSION),
        )


@dataclass(frozen=True, slots=True)
class Welcome(DictionaryMessage):
    """Whoever was dialed takes the other in."""

    kind: ClassVar[int] = FrameKind.WELCOME

    node: bytes
    port: int
    agent: str
    you: Address
    """As we see you."""
    supernode: bool
    children: int
    links: int
    room: int
    """Children that it could still take."""

    @override
    def _written(self) -> dict[str, Value]:
        return {
            "node": self.node,
            "port": self.port,
            "agent": self.agent,
            "you": pack_address(self.you),
            "supernode": self.supernode,
            "children": self.children,
            "links": self.links,
            "room": self.room,
        }

    @override
    @classmethod
    def read(cls, body: bytes) -> Self:
        fields = Fields(body)
        return cls(
            fields.node(),
            fields.number("port", 1, 65535),
            fields.text("agent", MAX_AGENT),
            fields.address("you"),
            fields.flag("supernode"),
            fields.number("children", 0, MAX_COUNT),
            fields.number("links", 0, MAX_COUNT),
            fields.number("room", 0, MAX_COUNT),
        )


@dataclass(frozen=True, slots=True)
class Refuse(DictionaryMessage):
    """Whoever was dialed does not, and hangs up."""

    kind: ClassVar[int] = FrameKind.REFUSE

    reason: Reason
    text: str
    hosts: tuple[Entry, ...] = ()
    invited: bool = False
    """More super nodes are needed: be tested."""

    @override
    def _written(self) -> dict[str, Value]:
        return {
            "reason": self.reason,
            "text": self.text,
            "hosts": pack_entries(self.hosts),
            "invited": self.invited,
        }

    @override
    @classmethod
    def read(cls, body: bytes) -> Self:
        fields = Fields(body)
        return cls(
            read_word(Reason, fields.text("reason")),
            fields.text("text"),
            read_entries(fields.raw("hosts")),
            fields.flag("invited"),
        )


@dataclass(frozen=True, slots=True)
class Bye(DictionaryMessage):
    """The connection ends now; a super node that ends tells its children where to go."""

    kind: ClassVar[int] = FrameKind.BYE

    text: str
    hosts: tuple[Entry, ...] = ()

    @override
    def _written(self) -> dict[str, Value]:
        return {"text": self.text, "hosts": pack_entries(self.hosts)}

    @override
    @classmethod
    def read(cls, body: bytes) -> Self:
        fields = Fields(body)
        return cls(fields.text("text"), read_entries(fields.raw("hosts")))
