"""Numbers and text as extensions and names have them: as few bytes as it takes, of no stated encoding."""

from p2pswarm.errors import LocalProtocolError

__all__ = ["pack_number", "pack_text", "read_number", "read_text"]


def pack_number(number: int) -> bytes:
    """Little endian without the zeros at its end (LF, DU); zero is no byte at all."""
    if not 0 <= number < 1 << 64:
        raise LocalProtocolError(f"{number} has no 64 bits")
    return number.to_bytes(8, "little").rstrip(b"\x00")


def read_number(data: bytes) -> int:
    """Bytes beyond 64 bits are ignored."""
    return int.from_bytes(data[:8], "little")


def read_text(data: bytes) -> str:
    """UTF-8; what is none is taken for Latin-1, as the specification guesses (2.2.7.3)."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def pack_text(text: str) -> bytes:
    """As UTF-8. Raises LocalProtocolError for a NUL, which ends text, and for what is no text."""
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise LocalProtocolError(f"{text!r} is no text") from error
    if 0 in data:
        raise LocalProtocolError(f"{text!r} has a NUL in it")
    return data
