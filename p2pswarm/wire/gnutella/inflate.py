"""One piece of deflated data becomes what it was, within bounds: an extension, or the payload of a datagram.

What streams through a connection is another thing: that is inflated as it comes.
"""

import zlib

from p2pswarm.errors import RemoteProtocolError

__all__ = ["inflate"]

_RAW = -zlib.MAX_WBITS


def inflate(data: bytes, most: int) -> bytes:
    """At most `most` bytes. Raises RemoteProtocolError for more, and for what is not deflated.

    "Deflate" is zlib for gtk-gnutella and LimeWire, and RFC 1951 without its head for GnutellaBun.
    """
    try:
        return _inflate(zlib.decompressobj(), data, most)
    except zlib.error:
        try:
            return _inflate(zlib.decompressobj(_RAW), data, most)
        except zlib.error as error:
            raise RemoteProtocolError("something that cannot be inflated") from error


def _inflate(inflater: "zlib._Decompress", data: bytes, most: int) -> bytes:
    whole = inflater.decompress(data, most + 1)
    if len(whole) > most or not inflater.eof:
        raise RemoteProtocolError("something that does not end, or inflates without bounds")
    return whole
