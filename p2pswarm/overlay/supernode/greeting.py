"""Dialing somebody in the supernode network: who are you, what may I be to you?

We say HELLO and what we want; the other side says WELCOME, or REFUSE and where else to go.
"""

import asyncio

from p2pswarm.errors import NetworkError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.overlay.supernode.link import Link
from p2pswarm.wire.supernode.frames import OPENING, Frame, FrameFramer, FrameKind
from p2pswarm.wire.supernode.hello import Hello, Refuse, Welcome

__all__ = ["TurnedDownError", "greet"]

CONNECT_TIME = 3.0  # seconds; who takes longer is no good as a parent
ANSWER_TIME = 5.0


class TurnedDownError(NetworkError):
    """It is there and does not want us."""

    def __init__(self, address: Address, refusal: Refuse) -> None:
        super().__init__(f"{address} says: {refusal.text or refusal.reason}")
        self.refusal = refusal


async def greet(port: Port, address: Address, hello: Hello) -> tuple[Link, Welcome]:
    """A link to which nobody listens yet, and what was said. Raises TurnedDownError, NetworkError."""
    link = Link()
    try:
        async with asyncio.timeout(CONNECT_TIME):
            link.opened(await port.dial(address, FrameFramer(port.scratch), link))
        link.send(OPENING + hello.encode().encode())
        async with asyncio.timeout(ANSWER_TIME):
            welcome = _read(address, await link.first())
    except (OSError, TimeoutError) as error:
        link.close()
        reason = getattr(error, "strerror", None) or "it does not answer"
        raise NetworkError(f"cannot reach {address}: {reason}") from error
    except BaseException:
        link.close()
        raise
    link.node, link.address = welcome.node, address
    return link, welcome


def _read(address: Address, frame: Frame) -> Welcome:
    """Raises TurnedDownError, RemoteProtocolError."""
    match frame.kind:
        case FrameKind.WELCOME:
            return Welcome.read(frame.body)
        case FrameKind.REFUSE:
            raise TurnedDownError(address, Refuse.read(frame.body))
        case other:
            raise RemoteProtocolError(f"{address} answers a greeting with {other:#x}")
