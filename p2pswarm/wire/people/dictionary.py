"""What the messages share: frames of this protocol, and the token before what is asked and answered."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Self

from typing_extensions import override

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.wire.people.datagrams import TOKEN_SIZE
from p2pswarm.wire.people.frames import PeopleFrame
from p2pswarm.wire.supernode.dictionary import DictionaryMessage, Fields
from p2pswarm.wire.supernode.frames import Frame

__all__ = ["PeopleMessage", "TokenMessage"]


class PeopleMessage(DictionaryMessage):
    """A message of a stream."""

    __slots__ = ()
    frame: ClassVar[type[Frame]] = PeopleFrame


@dataclass(frozen=True, slots=True)
class TokenMessage(PeopleMessage):
    """A question or its answer, by stream or by datagram: eight bytes say which belong together."""

    token: bytes

    @override
    def _before(self) -> bytes:
        if len(self.token) != TOKEN_SIZE:
            raise LocalProtocolError(f"a token of {len(self.token)} bytes")
        return self.token

    @override
    @classmethod
    def read(cls, body: bytes) -> Self:
        if len(body) <= TOKEN_SIZE:
            raise RemoteProtocolError(f"a body of {len(body)} bytes has no token and dictionary")
        return cls._read(body[:TOKEN_SIZE], Fields(body[TOKEN_SIZE:]))

    @classmethod
    @abstractmethod
    def _read(cls, token: bytes, fields: Fields) -> Self:
        """Raises RemoteProtocolError."""
