"""One result of a query hit: a file, and what is known of its content.

After the name stands what identifies the file: URNs, text for people (which we do not read), and GGEP, with
0x1C between them. A NUL ends it, so the GGEP in here has none (COBS).

Our own extension is `BTIH`: the info-hash of the torrent that brings the file.
"""

from dataclasses import dataclass, field
from struct import Struct

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.formats.urns import sha1_urn
from p2pswarm.wire.gnutella.ggep import MAGIC, Ggep, ggep_at, write_ggep
from p2pswarm.wire.gnutella.hashes import Hashes, hashes_of
from p2pswarm.wire.gnutella.numbers import pack_number, read_number
from p2pswarm.wire.text import pack_text, read_text

__all__ = ["Result", "read_result", "skip_result"]

MAX_INFLATED = 4096  # bytes of one result's extensions: there are 255 results in a hit
MAX_EXTENSIONS = 20  # of one result: more than anybody has, and each costs a microsecond
MAX_URNS = 16  # of one result we look at

_HEAD = Struct("<II")
_U32 = 0xFFFFFFFF
_SEPARATOR = b"\x1c"
_OUR_FIELDS = ("LF", "FS64", "TT", "H", "u", "BTIH")  # what is in the fields is not in `ggep`


@dataclass(slots=True)
class Result:
    """A file that is there. `ggep` is what the fields do not say."""

    index: int
    size: int
    name: str
    sha1: bytes | None = None  # 20 bytes
    tth: bytes | None = None  # 24 bytes
    info_hash: bytes | None = None  # 20 bytes
    ggep: Ggep = field(default_factory=dict)

    def encode(self) -> bytes:
        """Raises LocalProtocolError for what cannot be said."""
        if not 0 <= self.index <= _U32 or self.size < 0:
            raise LocalProtocolError(f"file {self.index} of {self.size} bytes")
        urns = [sha1_urn(_sized(self.sha1, 20)).encode("ascii")] if self.sha1 else []
        block = write_ggep(self._extensions(), no_nul=True)
        extensions = _SEPARATOR.join([*urns, *filter(None, [block])])
        head = _HEAD.pack(self.index, min(self.size, _U32))
        return head + pack_text(self.name) + b"\x00" + extensions + b"\x00"

    def _extensions(self) -> dict[str, bytes]:
        found = {}
        if self.size >= _U32:  # all bits set say: look at the extension (filesize64)
            found["LF"] = pack_number(self.size)
        if self.tth:
            found["TT"] = _sized(self.tth, 24)
        if self.info_hash:
            found["BTIH"] = _sized(self.info_hash, 20)
        return {**found, **{name: self.ggep[name] for name in self.ggep if name not in _OUR_FIELDS}}


def read_result(payload: bytes, at: int, end: int) -> tuple[Result, int]:
    """The result at `at` and where it ends, `end` at most. Raises RemoteProtocolError."""
    start = at + _HEAD.size
    name_end = payload.find(0, start, end)
    stop = payload.find(0, name_end + 1, end)
    if name_end < 0 or stop < 0:
        raise RemoteProtocolError("a hit that ends within a result")
    index, size = _HEAD.unpack_from(payload, at)
    urns, ggep = _read_extensions(payload[name_end + 1 : stop])
    hashes = hashes_of(urns, ggep)
    name = read_text(payload[start:name_end])
    return _result(index, _size(size, ggep), name, hashes, ggep), stop + 1


def _result(index: int, size: int, name: str, hashes: Hashes, ggep: Ggep) -> Result:
    tth = ggep.get("TT", b"")
    info_hash = ggep.get("BTIH", b"")
    return Result(
        index,
        size,
        name,
        hashes.sha1,
        tth if len(tth) == 24 else hashes.tth,
        info_hash if len(info_hash) == 20 else None,
        {key: value for key, value in ggep.items() if key not in _OUR_FIELDS},
    )


def _size(size: int, ggep: Ggep) -> int:
    """The extension overrides the 32 bits; FS64 is what the proposal called it before it was LF."""
    return read_number(ggep.get("LF") or ggep.get("FS64") or b"") or size


def _read_extensions(data: bytes) -> tuple[list[str], Ggep]:
    """URNs and GGEP, which is the last."""
    urns: list[str] = []
    at = 0  # not cut off piece by piece: a stranger decides how many there are
    while at < len(data) and data[at] != MAGIC:
        end = data.find(_SEPARATOR, at)
        end = len(data) if end < 0 else end
        if data[at : at + 4].lower() == b"urn:" and len(urns) < MAX_URNS:
            urns.append(data[at:end].decode("latin-1"))
        at = end + 1
    return urns, ggep_at(data[at:], max(len(data), MAX_INFLATED), MAX_EXTENSIONS)


def skip_result(payload: bytes, at: int, end: int) -> int:
    """Where the result at `at` ends, without reading what is in it. Raises RemoteProtocolError."""
    stop = payload.find(0, payload.find(0, at + _HEAD.size, end) + 1, end)
    if stop <= at + _HEAD.size:
        raise RemoteProtocolError("a hit that ends within a result")
    return stop + 1


def _sized(value: bytes, size: int) -> bytes:
    if len(value) != size:
        raise LocalProtocolError(f"a hash of {len(value)} bytes where {size} are due")
    return value
