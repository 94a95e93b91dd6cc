"""Where somebody is for a relay: an address proves that somebody is there who wants what is relayed.

Each of two has a channel and its secret, which the relay told it over its connection. It knocks with them, is
given a cookie for that address, and brings it back; every knock is answered, so that it also keeps a NAT open
and measures the way. Question and answer have the same length, and so have what comes in and what goes out:
nobody is flooded through a relay.

A knock travels as what is passed on does (`marked`), in a channel of zeros, which nobody has.
"""

import struct
from typing import NamedTuple, Self

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.wire.people.marked import CHANNEL_SIZE, PASS_SIZE, Relayed

__all__ = ["COOKIE_SIZE", "NOBODY", "NO_COOKIE", "Knock"]

COOKIE_SIZE = 8
NO_COOKIE = bytes(COOKIE_SIZE)
"""Whoever knocks first has none."""
NOBODY = bytes(CHANNEL_SIZE)

_KNOCK = struct.Struct(f">{CHANNEL_SIZE}s{PASS_SIZE}s{COOKIE_SIZE}s")


class Knock(NamedTuple):
    """I am at this address; or, from the relay: then bring this cookie."""

    channel: bytes
    secret: bytes
    cookie: bytes = NO_COOKIE

    def encode(self) -> bytes:
        """Raises LocalProtocolError."""
        sizes = (len(self.channel), len(self.secret), len(self.cookie))
        if sizes != (CHANNEL_SIZE, PASS_SIZE, COOKIE_SIZE):
            raise LocalProtocolError(f"{sizes} bytes are no knock")
        return Relayed(NOBODY, bytes(PASS_SIZE), _KNOCK.pack(*self)).encode()

    @classmethod
    def read(cls, payload: bytes) -> Self:
        """The payload of what came in the channel of zeros. Raises RemoteProtocolError."""
        if len(payload) != _KNOCK.size:
            raise RemoteProtocolError(f"a knock of {len(payload)} bytes")
        return cls(*_KNOCK.unpack(payload))
