"""Dialing a Napster client: whoever is dialed says `1` first."""

from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.overlay.talk import Talk
from p2pswarm.wire.napster.peer import HelloFramer

__all__ = ["reach"]


async def reach(port: Port, address: Address) -> Talk:
    """A connection on which the other side has said its `1`. Raises NetworkError."""
    talk = await Talk.dial(port, address, HelloFramer(port.scratch))
    try:
        await talk.word()
    except BaseException:
        talk.close()
        raise
    return talk
