"""A request of ours over HTTP and its answer.

The one hard thing: only an answer shows that somebody of the network is there, and none that any web server
gives: a hit may name a victim. So a host that somebody named is dialed and asked in one go, and counts as
found when it answered as servents do.
"""

import asyncio

from p2pswarm.errors import NetworkError, RefusedError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone
from p2pswarm.net.port import Port
from p2pswarm.overlay.dialing import Dialing
from p2pswarm.overlay.talk import Talk
from p2pswarm.wire.http.heads import HeadFramer
from p2pswarm.wire.http.messages import Request, Response

__all__ = ["ask", "body_of", "dial_and_ask"]

ANSWER_TIME = 20.0  # seconds for a head to be complete
BODY_TIME = 60.0  # seconds for a small body
MOST_INTERIM = 3  # answers that say that another follows (1xx)


async def ask(talk: Talk, request: Request) -> Response:
    """Raises NetworkError."""
    talk.send(request.encode())
    try:
        async with asyncio.timeout(ANSWER_TIME):
            for _ in range(MOST_INTERIM):
                response = await talk.hear(HeadFramer(Response.read, talk.scratch), ANSWER_TIME)
                assert isinstance(response, Response)
                if response.code >= 200:
                    return response
    except TimeoutError as error:
        talk.close()
        raise NetworkError(f"{talk.remote} takes too long to answer") from error
    talk.close()
    raise NetworkError(f"{talk.remote} does not come to an answer")


async def dial_and_ask(
    dialing: Dialing, address: Address, teller: Zone, request: Request, size: int | None = None
) -> tuple[Talk, Response]:
    """A connection, and the answer to the first request on it, perhaps about a file of this size.

    Raises NetworkError, RefusedError when a stranger to the network answers, RemoteProtocolError.
    """
    answers: list[Response] = []

    async def reach(port: Port, address: Address) -> Talk:
        talk = await Talk.dial(port, address)
        try:
            response = await ask(talk, request)
            _check(address, response, size, known=dialing.has_answered(address))
            answers.append(response)
        except BaseException:
            talk.close()
            raise
        return talk

    talk = await dialing.dial(address, teller, reach)
    return talk, answers[-1]


def _check(address: Address, response: Response, size: int | None, *, known: bool) -> None:
    """Raises RefusedError, RemoteProtocolError."""
    if not known and not response.is_of_servent(size):
        raise RefusedError(f"{address} says: {response.code} {response.reason[:80]}")


async def body_of(talk: Talk, response: Response, most: int) -> bytes:
    """A small body, as a whole. Raises NetworkError, RemoteProtocolError."""
    length, body = response.length, bytearray()
    if length is None or length > most:
        raise NetworkError(f"{talk.remote} answers with {length or 'endless'} bytes")

    def sink(data: bytes) -> bool:
        body.extend(data)
        return True

    try:
        async with asyncio.timeout(BODY_TIME):
            await talk.receive(length, sink)
    except TimeoutError as error:
        talk.close()
        raise NetworkError(f"{talk.remote} takes too long for {length} bytes") from error
    return bytes(body)
