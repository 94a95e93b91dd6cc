"""Asking a node that nobody can dial to dial somebody."""

from dataclasses import dataclass
from typing import ClassVar, Self

from typing_extensions import override

from p2pswarm.formats.ids import Address
from p2pswarm.wire.supernode.dictionary import DictionaryMessage, Fields, Value
from p2pswarm.wire.supernode.frames import FrameKind
from p2pswarm.wire.supernode.packing import pack_address

__all__ = ["Push"]

MAX_NUMBER = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Push(DictionaryMessage):
    """`node` shall dial `address` and bring the file of that number."""

    kind: ClassVar[int] = FrameKind.PUSH

    node: bytes
    number: int
    address: Address

    @override
    def _written(self) -> dict[str, Value]:
        return {"node": self.node, "number": self.number, "address": pack_address(self.address)}

    @override
    @classmethod
    def read(cls, body: bytes) -> Self:
        fields = Fields(body)
        number = fields.number("number", 0, MAX_NUMBER)
        return cls(fields.node(), number, fields.address("address"))
