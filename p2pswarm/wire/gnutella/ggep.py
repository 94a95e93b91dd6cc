"""GGEP, the extension block that Gnutella's messages may end with (GGEP 0.51).

A block is 0xC3 and then extensions, each with a name of up to 15 bytes and a value. A value may be deflated
and then written without any NUL (COBS), because inside a result of a hit a NUL is the end.

The one hard thing: a stranger chooses how much a value inflates to. All values that are read together have
at most `MAX_INFLATED` bytes, however small they travel; where there are many blocks, they get less.
"""

from collections.abc import Mapping
from typing import TypeAlias

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.wire.gnutella.inflate import inflate

__all__ = ["MAGIC", "MAX_EXTENSIONS", "Ggep", "ggep_at", "read_ggep", "write_ggep"]

Ggep: TypeAlias = Mapping[str, bytes]
"""Extensions by name, in the order in which they travel."""

MAGIC = 0xC3
MAX_EXTENSIONS = 64  # in one message; gtk-gnutella's busiest, a pong, has 8
MAX_INFLATED = 64 << 10  # bytes, as much as a message may have without any compression

_LAST, _COBS, _DEFLATE, _RESERVED, _NAME_SIZE = 0x80, 0x40, 0x20, 0x10, 0x0F
_MAX_VALUE = (1 << 18) - 1  # what three groups of six bits can say


def read_ggep(
    data: bytes, room: int = MAX_INFLATED, most: int = MAX_EXTENSIONS
) -> tuple[dict[str, bytes], int]:
    """The extensions at the start of `data` and how many bytes they take. Raises RemoteProtocolError.

    Blocks may be packed one against another; of two extensions of one name the later counts. All values
    together have at most `room` bytes.
    """
    found: dict[str, bytes] = {}
    at, left = 0, most
    while at < len(data) and data[at] == MAGIC:
        at, flags = at + 1, 0
        while not flags & _LAST:
            flags, name, packed, at = _read_one(data, at)
            left -= 1
            value = _unpacked(packed, flags, room)
            room -= len(value)
            if left < 0:
                raise RemoteProtocolError(f"more than {most} extensions in one place")
            found[name] = value
    if not at:
        raise RemoteProtocolError("no GGEP block starts here")
    return found, at


def ggep_at(data: bytes, room: int = MAX_INFLATED, most: int = MAX_EXTENSIONS) -> dict[str, bytes]:
    """The extensions at the start of `data`; none when there is something else, or when they are broken.

    What cannot be read in the extensions of a message is no reason to lose the message.
    """
    try:
        return read_ggep(data, room, most)[0]
    except RemoteProtocolError:
        return {}


def write_ggep(ggep: Ggep, *, no_nul: bool = False) -> bytes:
    """One block, nothing when there are no extensions. With `no_nul` no byte of it is NUL.

    Raises LocalProtocolError for names and values that cannot be said.
    """
    if len(ggep) > MAX_EXTENSIONS:
        raise LocalProtocolError(f"{len(ggep)} extensions are too many")
    if not ggep:
        return b""
    pieces, last = [bytes([MAGIC])], len(ggep) - 1
    for number, (name, value) in enumerate(ggep.items()):
        flags = _LAST if number == last else 0
        if no_nul and 0 in value:
            flags, value = flags | _COBS, _cobs(value)
        label = _label(name)
        pieces += [bytes([flags | len(label)]), label, _length(len(value)), value]
    return b"".join(pieces)


def _read_one(data: bytes, at: int) -> tuple[int, str, bytes, int]:
    """Flags, name, value as it travels, and where the next extension starts."""
    flags = data[at] if at < len(data) else 0
    size, start = flags & _NAME_SIZE, at + 1
    name = data[start : start + size]
    if not size or flags & _RESERVED or 0 in name:
        raise RemoteProtocolError("an extension without a name")
    length, start = _read_length(data, start + size)
    end = start + length
    if end > len(data):
        raise RemoteProtocolError("an extension that is longer than its message")
    return flags, name.decode("latin-1"), data[start:end], end


def _read_length(data: bytes, at: int) -> tuple[int, int]:
    length = 0
    for byte in data[at : at + 3]:
        at += 1
        length = length << 6 | byte & 0x3F
        if byte & 0xC0 == 0x40:
            return length, at
        if byte & 0xC0 != 0x80:
            break
    raise RemoteProtocolError("an extension without a length")


def _unpacked(value: bytes, flags: int, room: int) -> bytes:
    """Without COBS and deflate; at most `room` bytes."""
    if flags & _COBS:
        value = _uncobs(value)
    if flags & _DEFLATE:
        value = inflate(value, room)
    if len(value) > room:
        raise RemoteProtocolError("extensions that are longer than any message")
    return value


def _uncobs(value: bytes) -> bytes:
    """Each group is its length, then bytes; a NUL follows unless the group is full or the last one."""
    groups, at = [], 0
    while at < len(value):
        size = value[at]
        group = value[at + 1 : at + size]
        if not size or len(group) != size - 1:
            raise RemoteProtocolError("an extension that is not COBS")
        at += size
        groups.append(group + b"\x00" if size < 255 and at < len(value) else group)
    return b"".join(groups)


def _cobs(value: bytes) -> bytes:
    groups = []
    pieces = value.split(b"\x00")
    for piece in pieces:
        full = len(piece) // 254
        groups += [b"\xff" + piece[at * 254 : at * 254 + 254] for at in range(full)]
        rest = piece[full * 254 :]
        groups.append(bytes([len(rest) + 1]) + rest)
    return b"".join(groups)


def _label(name: str) -> bytes:
    try:
        label = name.encode("latin-1")
    except UnicodeEncodeError as error:
        raise LocalProtocolError(f"{name!r} cannot name an extension") from error
    if not 0 < len(label) < 16 or 0 in label:
        raise LocalProtocolError(f"{name!r} cannot name an extension")
    return label


def _length(length: int) -> bytes:
    if length > _MAX_VALUE:
        raise LocalProtocolError(f"an extension of {length} bytes")
    low = 0x40 | length & 0x3F
    if length < 1 << 6:
        return bytes([low])
    if length < 1 << 12:
        return bytes([0x80 | length >> 6, low])
    return bytes([0x80 | length >> 12, 0x80 | length >> 6 & 0x3F, low])
