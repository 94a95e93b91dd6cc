"""Being joined to somebody by a super node, and being told of somebody in the same swarm."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Self

from typing_extensions import override

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.wire.people.dictionary import PeopleMessage
from p2pswarm.wire.people.frames import PeopleKind
from p2pswarm.wire.people.marked import CHANNEL_SIZE, PASS_SIZE
from p2pswarm.wire.people.nodes import pack_addresses, read_addresses
from p2pswarm.wire.people.ringing import KEY_SIZE, SESSION_SIZE
from p2pswarm.wire.supernode.dictionary import Fields, Value, read_word
from p2pswarm.wire.supernode.packing import MAX_SIZE, pack_address

__all__ = ["ADDRESSES_MOST", "SWARMS_MOST", "Meet", "Mode", "Ready", "Relay", "Swarm"]

ADDRESSES_MOST = 16
SWARMS_MOST = 100
_HASH = 20


class Mode(StrEnum):
    """What is relayed."""

    STREAM = "stream"
    DATAGRAMS = "datagrams"


@dataclass(frozen=True, slots=True)
class Relay(PeopleMessage):
    """Join me to the guest of this key, who asks for the same session."""

    kind: ClassVar[int] = PeopleKind.RELAY

    session: bytes
    peer: bytes
    mode: Mode

    @override
    def _written(self) -> dict[str, Value]:
        return {"session": self.session, "peer": self.peer, "mode": self.mode}

    @override
    @classmethod
    def read(cls, body: bytes) -> Self:
        fields = Fields(body)
        return cls(
            fields.raw("session", SESSION_SIZE),
            fields.raw("peer", KEY_SIZE),
            read_word(Mode, fields.text("mode")),
        )


@dataclass(frozen=True, slots=True)
class Ready(PeopleMessage):
    """Both are here. In mode stream everything behind this frame is the other one's."""

    kind: ClassVar[int] = PeopleKind.READY

    channel: bytes
    secret: bytes
    """With `channel` in each datagram: it proves where this side is."""
    quota: int
    """Bytes that both may send in all."""
    udp: Address
    """Where the relay takes datagrams."""

    @override
    def _written(self) -> dict[str, Value]:
        return {
            "channel": self.channel,
            "secret": self.secret,
            "quota": self.quota,
            "udp": pack_address(self.udp),
        }

    @override
    @classmethod
    def read(cls, body: bytes) -> Self:
        fields = Fields(body)
        return cls(
            fields.raw("channel", CHANNEL_SIZE),
            fields.raw("secret", PASS_SIZE),
            fields.number("quota", 0, MAX_SIZE),
            fields.address("udp"),
        )


@dataclass(frozen=True, slots=True)
class Swarm(PeopleMessage):
    """I am in these swarms and want to meet others of them; it takes the place of the last one said.

    A swarm is named by a hash of its info-hash (`formats/people/swarms`), which nobody here needs to know.
    """

    kind: ClassVar[int] = PeopleKind.SWARM

    hashes: tuple[InfoHash, ...]
    addresses: tuple[Address, ...]
    """Where this guest was seen, by UDP and by TCP."""

    @override
    def _written(self) -> dict[str, Value]:
        return {"hashes": b"".join(self.hashes), "addresses": pack_addresses(self.addresses)}

    @override
    @classmethod
    def read(cls, body: bytes) -> Self:
        fields = Fields(body)
        hashes = fields.within("hashes", 0, SWARMS_MOST * _HASH)
        if len(hashes) % _HASH:
            raise RemoteProtocolError(f"{len(hashes)} bytes are no list of info-hashes")
        return cls(
            tuple(InfoHash(hashes[at : at + _HASH]) for at in range(0, len(hashes), _HASH)),
            read_addresses(fields.raw("addresses"), ADDRESSES_MOST),
        )


@dataclass(frozen=True, slots=True)
class Meet(PeopleMessage):
    """Another one is in that swarm: dial it by uTP now, as it dials you."""

    kind: ClassVar[int] = PeopleKind.MEET

    hash: InfoHash
    session: bytes
    """Under which both may ask to be relayed."""
    peer: bytes
    """What it is called in this swarm, by all super nodes; it is no key."""
    addresses: tuple[Address, ...]
    speaks: bool
    """Whether you say the first word, if you are relayed."""

    @override
    def _written(self) -> dict[str, Value]:
        return {
            "hash": self.hash,
            "session": self.session,
            "peer": self.peer,
            "addresses": pack_addresses(self.addresses),
            "speaks": self.speaks,
        }

    @override
    @classmethod
    def read(cls, body: bytes) -> Self:
        fields = Fields(body)
        return cls(
            InfoHash(fields.raw("hash", _HASH)),
            fields.raw("session", SESSION_SIZE),
            fields.raw("peer", KEY_SIZE),
            read_addresses(fields.raw("addresses"), ADDRESSES_MOST),
            fields.flag("speaks"),
        )
