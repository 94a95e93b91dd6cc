"""Text of no stated encoding, as Gnutella has it in messages and in GIV lines."""

from p2pswarm.errors import LocalProtocolError

__all__ = ["pack_text", "read_text"]


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
