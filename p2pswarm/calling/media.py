"""How the media of a call travel: sealed datagrams where there is a way for them, else frames of the stream.

Whoever has heard no datagram of the other side for a while says the next ones in the stream, too, for a way
that is open here may be closed there. Each message is heard once all the same: voice is numbered.
"""

import logging
from collections.abc import Callable
from math import inf
from typing import Protocol

from p2pswarm.calling.sealing import Opener, Sealer
from p2pswarm.errors import RemoteProtocolError
from p2pswarm.wire.calling.media import Report, Voice, read_media

__all__ = ["Datagrams", "Media"]

log = logging.getLogger(__name__)

DEAF_AFTER = 1.2  # seconds; a report comes twice a second, and one may be lost


class Datagrams(Protocol):
    """A way to the other side for what may be lost."""

    on_datagram: Callable[[bytes], None]

    def send(self, data: bytes) -> None:
        """Or drop it."""


class Media:
    """One side. `got_datagram` and `got_frame` take what comes, `send` says."""

    def __init__(
        self,
        keys: tuple[bytes, bytes],
        session: bytes,
        mention: Callable[[bytes], None],
        heard: Callable[[Voice | Report], None],
    ) -> None:
        """`keys` are ours and theirs; `mention` puts a message into the stream."""
        self._sealer, self._opener = Sealer(keys[0], session), Opener(keys[1], session)
        self._mention = mention
        self._heard = heard
        self._last = -inf  # when a datagram came
        self.datagrams: Datagrams | None = None
        """The way for them now; whoever sets it has `got_datagram` told what comes."""

    def send(self, message: Voice | Report, now: float) -> None:
        plain = message.encode()
        if self.datagrams is not None:
            self.datagrams.send(self._sealer.seal(plain))
        if self.datagrams is None or now - self._last > DEAF_AFTER:
            self._mention(plain)

    def got_datagram(self, data: bytes, now: float) -> None:
        """Whatever is not the other side's is passed over: anybody can send datagrams."""
        try:
            message = read_media(self._opener.open(data))
        except RemoteProtocolError as error:
            log.debug("media dropped: %s", error)
            return
        self._last = now
        if message is not None:
            self._heard(message)

    def got_frame(self, body: bytes) -> None:
        """From the stream. Raises RemoteProtocolError."""
        message = read_media(body)
        if message is not None:
            self._heard(message)
