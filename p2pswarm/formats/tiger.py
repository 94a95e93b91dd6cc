"""The Tiger hash, by the C of libgcrypt: Python's own library has none.

The library is found when it is first needed and may be missing: ask `available` before. The one hard thing is
the GIL: a leaf takes 3 µs, and giving the GIL away for so short a call means waiting 5 ms for it whenever
another thread computes (0.3 MB/s; measured). So a call keeps it (`PyDLL`, 400 MB/s), and whoever hashes
much hands over some hundred KiB at a time.
"""

import ctypes
from collections.abc import Callable
from contextlib import suppress
from ctypes import addressof, c_char, c_char_p, c_int, c_size_t, c_uint, c_void_p
from functools import cache

from p2pswarm.errors import HostError

__all__ = ["TIGER", "available", "tiger", "tiger_each"]

TIGER = 24
"""Bytes of a hash."""

_NAMES = ("libgcrypt.so.20", "libgcrypt.so", "libgcrypt.20.dylib", "libgcrypt.dylib")
_TIGER1 = 306  # GCRY_MD_TIGER1: the bytes in the order of the paper, as all file sharing has them
_OF_NOTHING = bytes.fromhex("3293ac630c13f0245f92bbb1766e16167a4e58492dde73f3")

_HashParts = Callable[[int, int, int, int, int], int]
"""gcry_md_hash_buffers: algorithm, flags, where the hash goes, where the parts are listed, how many."""


class _Part(ctypes.Structure):
    """gcry_buffer_t: `len` bytes, which begin `off` bytes behind `data`."""

    _fields_ = [  # type: ignore[mutable-override]
        ("size", c_size_t),
        ("off", c_size_t),
        ("len", c_size_t),
        ("data", c_void_p),
    ]


@cache
def _library() -> _HashParts | None:
    """None where it is missing, or does not know Tiger."""
    for name in _NAMES:
        try:
            library = ctypes.PyDLL(name)
            library.gcry_check_version.restype = c_char_p
            library.gcry_check_version(None)  # it prepares itself then
            hash_parts = library.gcry_md_hash_buffers
        except (OSError, AttributeError):
            continue
        hash_parts.argtypes = (c_int, c_uint, c_void_p, c_void_p, c_int)
        with suppress(HostError):  # it may be built without Tiger, or forbid it
            if _hash_all(hash_parts, b"", b"", 1) == _OF_NOTHING:
                return hash_parts
    return None


def available() -> bool:
    """Whether this machine can hash with Tiger."""
    return _library() is not None


def tiger(data: bytes | bytearray | memoryview) -> bytes:
    """Raises HostError where Tiger is not available."""
    return _hash_all(_needed(), data, b"", max(1, len(data)))


def tiger_each(data: bytes | bytearray | memoryview, size: int, prefix: bytes) -> bytes:
    """The hashes of `prefix` and each `size` bytes of `data`, the last of them perhaps fewer, in a row.

    Of nothing there is none. In any thread. Raises HostError where Tiger is not available.
    """
    return _hash_all(_needed(), data, prefix, size) if data else b""


def _needed() -> _HashParts:
    found = _library()
    if found is None:
        raise HostError("there is no Tiger hash on this machine: install libgcrypt (libgcrypt20)")
    return found


def _hash_all(
    hash_parts: _HashParts, data: bytes | bytearray | memoryview, prefix: bytes, size: int
) -> bytes:
    """At least one hash."""
    if isinstance(data, memoryview) and data.readonly:
        data = bytes(data)  # ctypes tells no address of it
    total = len(data)
    hashes = bytearray((-(-total // size) or 1) * TIGER)
    parts = (_Part * 2)(_part(prefix), _part(data))
    call, where, each = addressof(parts), addressof(c_char.from_buffer(hashes)), parts[1]
    failed = at = 0
    each.len = size
    for at in range(size, total, size):  # all but the last
        failed |= hash_parts(_TIGER1, 0, where, call, 2)
        each.off = at
        where += TIGER
    each.len = total - at
    if failed | hash_parts(_TIGER1, 0, where, call, 2):
        raise HostError("libgcrypt cannot hash")
    return bytes(hashes)


def _part(data: bytes | bytearray | memoryview) -> _Part:
    """It keeps no reference: whoever calls must."""
    if isinstance(data, bytes) or not data:
        address = ctypes.cast(c_char_p(bytes(data)), c_void_p).value
    else:
        address = addressof(c_char.from_buffer(data))
    return _Part(len(data), 0, len(data), address)
