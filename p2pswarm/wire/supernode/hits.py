"""Answers, on their way back to whoever asked.

Whoever passes them on reads GUID and hops alone. A hit says where the host is, and of one that nobody can
dial also who its parent is, which passes a push on to it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from struct import Struct, error as StructError  # noqa: N812  its name in the library
from typing import ClassVar, NamedTuple, Self

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.wire.supernode.frames import MOST, Frame, FrameKind
from p2pswarm.wire.supernode.packing import (
    ADDRESS_4,
    ADDRESS_6,
    check_node,
    pack_address,
    read_address,
)
from p2pswarm.wire.supernode.shares import SharedFile, pack_file, read_file

__all__ = ["Found", "Hits", "HitsHead"]

_HEAD = Struct(">16sB")
_FOUND = Struct(">B16sB")
_FIREWALLED, _PUSHED, _HOST_6, _PARENT_6 = 1, 2, 4, 8
_ALL = _FIREWALLED | _PUSHED | _HOST_6 | _PARENT_6
_MAX_FILES = 255


class HitsHead(NamedTuple):
    """What has to be known to pass hits on."""

    guid: bytes
    hops: int


@dataclass(frozen=True, slots=True)
class Found:
    """Files of one host."""

    host: Address
    node: bytes
    firewalled: bool
    supernode: Address | None
    """Its parent, which passes pushes on."""
    files: tuple[SharedFile, ...]


@dataclass(frozen=True, slots=True)
class Hits:
    """What was found for the query with this GUID."""

    kind: ClassVar[FrameKind] = FrameKind.HITS

    guid: bytes
    hops: int
    found: tuple[Found, ...]

    def encode(self) -> Frame:
        """Raises LocalProtocolError, also where nothing was found."""
        if not self.found:
            raise LocalProtocolError("hits with nothing that was found")
        head = _pack_head(self.guid, self.hops)
        return Frame(self.kind, b"".join((head, *map(_pack_found, self.found))))

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Raises RemoteProtocolError."""
        guid, hops = cls.head(body)
        found: list[Found] = []
        at = _HEAD.size
        while at < len(body):
            one, at = _read_found(body, at)
            found.append(one)
        if not found:
            raise RemoteProtocolError("hits with nothing that was found")
        return cls(guid, hops, tuple(found))

    @staticmethod
    def head(body: bytes) -> HitsHead:
        """The start of a body, without a look at the rest. Raises RemoteProtocolError."""
        try:
            return HitsHead._make(_HEAD.unpack_from(body))
        except StructError as error:
            raise RemoteProtocolError(f"hits of {len(body)} bytes") from error

    @staticmethod
    def hopped(body: bytes) -> Frame:
        """As they are one hop further.

        Raises LocalProtocolError when they may not go that far, RemoteProtocolError when they are none.
        """
        guid, hops = Hits.head(body)
        return Frame(FrameKind.HITS, _pack_head(guid, hops + 1) + body[_HEAD.size :])

    @classmethod
    def pack(cls, guid: bytes, hops: int, found: Iterable[Found]) -> Iterator[Self]:
        """As many as it takes; the files of one host may be in several."""
        batch: list[Found] = []
        room = MOST[cls.kind] - _HEAD.size
        for part in _cut(found, room):
            size = len(_pack_found(part))
            if size > room:
                yield cls(guid, hops, tuple(batch))
                batch, room = [], MOST[cls.kind] - _HEAD.size
            batch.append(part)
            room -= size
        if batch:
            yield cls(guid, hops, tuple(batch))


def _cut(found: Iterable[Found], most: int) -> Iterator[Found]:
    """Hosts with so few files that each fits into `most` bytes."""
    for one in found:
        files: list[SharedFile] = []
        room = most - _FOUND.size - 2 * ADDRESS_6
        left = room
        for file in one.files:
            size = len(pack_file(file))
            if size > left or len(files) == _MAX_FILES:
                yield Found(one.host, one.node, one.firewalled, one.supernode, tuple(files))
                files, left = [], room
            files.append(file)
            left -= size
        if files:
            yield Found(one.host, one.node, one.firewalled, one.supernode, tuple(files))


def _pack_head(guid: bytes, hops: int) -> bytes:
    if not 0 <= hops < 256:
        raise LocalProtocolError(f"hits with {hops} hops")
    return _HEAD.pack(check_node(guid), hops)


def _pack_found(found: Found) -> bytes:
    host = pack_address(found.host)
    parent = b"" if found.supernode is None else pack_address(found.supernode)
    if not 0 < len(found.files) <= _MAX_FILES:
        raise LocalProtocolError(f"{len(found.files)} files of one host in one hit")
    flags = (
        (_FIREWALLED if found.firewalled else 0)
        | (_PUSHED if parent else 0)
        | (_HOST_6 if len(host) == ADDRESS_6 else 0)
        | (_PARENT_6 if len(parent) == ADDRESS_6 else 0)
    )
    head = _FOUND.pack(flags, check_node(found.node), len(found.files))
    return b"".join((head, host, parent, *map(pack_file, found.files)))


def _read_found(body: bytes, at: int) -> tuple[Found, int]:
    try:
        flags, node, count = _FOUND.unpack_from(body, at)
    except StructError as error:
        raise RemoteProtocolError("a host that is cut off") from error
    if flags > _ALL or not count or flags & (_PUSHED | _PARENT_6) == _PARENT_6:
        raise RemoteProtocolError(f"a host with {count} files and {flags:#x}")
    at += _FOUND.size
    middle = at + (ADDRESS_6 if flags & _HOST_6 else ADDRESS_4)
    end = middle
    if flags & _PUSHED:
        end += ADDRESS_6 if flags & _PARENT_6 else ADDRESS_4
    if end > len(body):
        raise RemoteProtocolError("a host that is cut off")
    host = read_address(body[at:middle])
    parent = read_address(body[middle:end]) if flags & _PUSHED else None
    files: list[SharedFile] = []
    for _ in range(count):
        file, end = read_file(body, end)
        files.append(file)
    return Found(host, node, bool(flags & _FIREWALLED), parent, tuple(files)), end
