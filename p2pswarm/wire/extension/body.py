"""The bencoded dictionary that a message of an extension is, or begins with."""

from typing import Any

from p2pswarm.errors import BencodeError, RemoteProtocolError
from p2pswarm.formats import bencode

__all__ = ["read_body"]


def read_body(
    what: str, payload: bytes, *, most: int, tokens: int, depth: int = 5
) -> tuple[dict[bytes, Any], int]:
    """It and how many bytes it took; what follows may be anything, as libtorrent's trailing bytes are.

    Raises RemoteProtocolError for more than `most` bytes and for junk. To read a message must not take longer
    than to send it: it has no more than so many `tokens`.
    """
    try:
        body, end = bencode.decode_prefix(
            payload, max_depth=depth, max_size=most, max_tokens=tokens
        )
    except BencodeError as error:
        raise RemoteProtocolError(f"{what}: {error}") from error
    if not isinstance(body, dict):
        raise RemoteProtocolError(f"{what}: not a dictionary")
    return body, end
