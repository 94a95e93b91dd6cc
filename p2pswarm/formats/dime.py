"""DIME: records of any type in one message (draft-nielsen-dime-02), which only THEX ever used.

Read as it comes from many hands: a record may come in chunks, the last padding may be missing. A message is
in memory as a whole, so its records cannot take more.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from p2pswarm.errors import FormatError

__all__ = ["MAX_DIME", "Record", "TypeOf", "read_dime", "write_dime"]

MAX_DIME = 1 << 20  # bytes of a message that is read; a tree of ours takes 24 KiB

# Section 3.2: version and flags, the type's type, then how long options, id, type and data are.
_HEAD = struct.Struct(">BBHHHI")
_VERSION = 1 << 3
_BEGIN, _END, _CHUNK = 4, 2, 1
_MOST_PARTS = 1000
_UNCHANGED = 0  # the type of a chunk that goes on


class TypeOf(IntEnum):
    """What a record's type is (section 3.2.5)."""

    MEDIA = 1
    URI = 2


@dataclass(frozen=True, slots=True)
class Record:
    """`kind` is a `TypeOf`, or what a stranger wrote."""

    kind: int
    type: bytes
    id: bytes
    data: bytes


def write_dime(records: Sequence[Record]) -> bytes:
    message, last = bytearray(), len(records) - 1
    for number, record in enumerate(records):
        flags = _VERSION | _BEGIN * (number == 0) | _END * (number == last)
        lengths = len(record.id), len(record.type), len(record.data)
        message += _HEAD.pack(flags, record.kind << 4, 0, *lengths)
        for field in (record.id, record.type, record.data):
            message += field + bytes(-len(field) % 4)
    return bytes(message)


def read_dime(message: bytes) -> list[Record]:
    """Its records, chunks joined; what is behind the record that ends it is ignored. Raises FormatError."""
    if len(message) > MAX_DIME:
        raise FormatError(f"a DIME message of {len(message)} bytes")
    records, chunks = list[Record](), list[Record]()
    for flags, record in _parts(message):
        if bool(chunks) != (record.kind == _UNCHANGED):
            raise FormatError("a DIME record that is no chunk of the last, or only that")
        chunks.append(record)
        if not flags & _CHUNK:
            records.append(replace(chunks[0], data=b"".join(chunk.data for chunk in chunks)))
            chunks = []
    if chunks:
        raise FormatError("a DIME record without its last chunk")
    return records


def _parts(message: bytes) -> Iterator[tuple[int, Record]]:
    at = 0
    for _ in range(_MOST_PARTS):
        if at + _HEAD.size > len(message):
            raise FormatError("a DIME message without its end")
        flags, kind, *lengths = _HEAD.unpack_from(message, at)
        if flags & 0xF8 != _VERSION or kind & 0x0F:
            raise FormatError("not a DIME record of version 1")
        at += _HEAD.size
        fields = list[bytes]()
        for length in lengths:
            fields.append(message[at : at + length])
            at += length + -length % 4
            if len(fields[-1]) < length:
                raise FormatError("a DIME record that is cut off")
        _, identity, type_, data = fields
        yield flags, Record(kind >> 4, type_, identity, data)
        if flags & _END:
            return
    raise FormatError("a DIME message of too many records")
