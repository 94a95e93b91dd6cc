"""Numbers as extensions have them: as few bytes as it takes."""

from p2pswarm.errors import LocalProtocolError

__all__ = ["pack_number", "read_number"]


def pack_number(number: int) -> bytes:
    """Little endian without the zeros at its end (LF, DU); zero is no byte at all."""
    if not 0 <= number < 1 << 64:
        raise LocalProtocolError(f"{number} has no 64 bits")
    return number.to_bytes(8, "little").rstrip(b"\x00")


def read_number(data: bytes) -> int:
    """Bytes beyond 64 bits are ignored."""
    return int.from_bytes(data[:8], "little")
