"""The way to a rendezvous, for who gives a code and for who has one.

A giver stays connected and comes back with its number when the connection breaks, later and later, so that
a rendezvous that was restarted is not stormed. A taker comes once: whoever sits at the other end may try one
guess with what it says, so only "busy", said before that, makes it come again.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from math import ceil
from random import Random
from typing import Literal

import aiohttp
from yarl import URL

from p2pswarm.discovery.client import HttpClient, in_words, parsed
from p2pswarm.discovery.codes.visits import MOST_WRONG, Giving, Taking
from p2pswarm.errors import BusyError, NetworkError, RemoteProtocolError, TrackerError
from p2pswarm.formats.code import Code
from p2pswarm.formats.ids import Address
from p2pswarm.wire.rendezvous import (
    MOST_MESSAGE,
    PATH,
    Claim,
    Claimed,
    Left,
    Message,
    Refused,
    Said,
    Why,
    decode,
    encode,
)

__all__ = ["GivenCode", "Happened", "take"]

Happened = Literal["drawn", "given", "guessed", "dead", "expired", "lost", "unreachable"]

_FULL = 503  # HTTP's
_TAKE_FOR = 120.0  # seconds for all of it, waiting where many ask among it
_REST, _LONGEST_REST = 1.0, 60.0  # seconds before it is tried again

_FAILURES = (aiohttp.ClientError, OSError, ValueError, TrackerError, RemoteProtocolError)


async def take(
    code: Code, rendezvous: str, client: HttpClient, dice: Random, place: bytes = b""
) -> bytes:
    """The link that the code stands for; the giver is told our `place`. Raises CodeError, NetworkError."""
    try:
        async with asyncio.timeout(_TAKE_FOR):
            while True:
                try:
                    return await _visit(Taking(code, place), rendezvous, client)
                except BusyError as error:
                    await asyncio.sleep((error.retry_in or _REST) * dice.uniform(1.0, 1.5))
    except TimeoutError as error:
        raise NetworkError(f"code {code.number}: no answer within {_TAKE_FOR:g} s") from error


async def _visit(taking: Taking, rendezvous: str, client: HttpClient) -> bytes:
    try:
        async with client.websocket(_door(rendezvous), MOST_MESSAGE) as socket:
            await socket.send_bytes(encode(taking.begin()))
            async for message in _messages(socket):
                reply = taking.received(message)
                if taking.link:
                    return taking.link
                if reply is not None:
                    await socket.send_bytes(encode(reply))
    except _FAILURES as error:
        if isinstance(error, aiohttp.WSServerHandshakeError) and error.status == _FULL:
            raise BusyError("too many are at that rendezvous") from error
        raise NetworkError(f"the rendezvous {rendezvous}: {_said(error)}") from error
    raise NetworkError(f"the rendezvous {rendezvous} hung up")


class GivenCode:
    """A code and its link, given to whoever asks with the right words, until it is over.

    `told` hears what happened; `code` is there from "drawn" on.
    """

    def __init__(
        self,
        rendezvous: str,
        client: HttpClient,
        dice: Random,
        link: Callable[[str], bytes],
        told: Callable[[Happened], None],
        at: Address | None = None,
    ) -> None:
        """`link` makes it of the address that the rendezvous sees us with; `at` is told with the code."""
        self._rendezvous, self._client, self._dice = rendezvous, client, dice
        self._link, self._told, self._at = link, told, at
        self._token = b""
        self._giving: Giving | None = None
        self._rest = _REST
        self.trouble = ""  # why it was "unreachable"

    @property
    def code(self) -> Code:
        assert self._giving is not None
        return self._giving.code

    @property
    def given(self) -> int:
        """To how many."""
        return self._giving.given if self._giving else 0

    @property
    def latest(self) -> tuple[Address, ...]:
        """Where the last of them is."""
        return self._giving.latest if self._giving else ()

    @property
    def left(self) -> int:
        """So many more wrong guesses, and the code is dead."""
        return MOST_WRONG - (self._giving.wrong if self._giving else 0)

    async def run(self, ttl: float) -> None:
        """Until the code is over, `ttl` seconds at most, or cancelled; then its number is given back."""
        clock = asyncio.get_running_loop().time
        ends = clock() + ttl
        try:
            async with asyncio.timeout(ttl):
                while True:
                    try:
                        return self._told(await self._stay(ends - clock()))
                    except (*_FAILURES, NetworkError) as error:
                        self.trouble = _said(error)
                        self._told("unreachable")
                    await asyncio.sleep(self._rest * self._dice.uniform(1.0, 1.5))
                    self._rest = min(2 * self._rest, _LONGEST_REST)
        except TimeoutError:
            self._told("expired")

    async def _stay(self, ttl: float) -> Happened:
        """One connection, until the code is over. Raises one of `_FAILURES`, NetworkError."""
        async with self._client.websocket(_door(self._rendezvous), MOST_MESSAGE) as socket:
            number = self._giving.code.number if self._giving else 0
            await socket.send_bytes(encode(Claim(max(1, ceil(ttl)), number, self._token)))
            try:
                async for message in _messages(socket):
                    over = await self._received(socket, message)
                    if over is not None:
                        return over
            finally:
                with suppress(*_FAILURES):
                    await socket.send_bytes(encode(Left(0)))
        raise NetworkError("it hung up")

    async def _received(
        self, socket: aiohttp.ClientWebSocketResponse, message: Message
    ) -> Happened | None:
        """How the code is over, if it is. Raises RemoteProtocolError, NetworkError."""
        match message:
            case Claimed():
                self._claimed(message)
            case Said() | Left() if self._giving is not None:
                return await self._visited(socket, self._giving, message)
            case Refused(why=Why.TAKEN):
                return "lost"
            case Refused(why=Why.UNKNOWN):
                return "expired"
            case Refused():
                raise NetworkError("it has no place for another code")
            case _:
                raise RemoteProtocolError("it says what does not belong here")
        return None

    def _claimed(self, claimed: Claimed) -> None:
        """A code is drawn once: a rendezvous that gives another number would get more guesses."""
        self._token, self._rest = claimed.token, _REST
        if self._giving is None:
            code = Code.draw(claimed.number, self._dice, self._at)
            self._giving = Giving(code, self._link(claimed.you), claimed.you)
            self._told("drawn")
        elif claimed.number != self._giving.code.number:
            raise RemoteProtocolError("it gives another number than before")

    async def _visited(
        self, socket: aiohttp.ClientWebSocketResponse, giving: Giving, message: Said | Left
    ) -> Happened | None:
        before = giving.given, giving.wrong
        for reply in giving.received(message, asyncio.get_running_loop().time()):
            await socket.send_bytes(encode(reply))
        given, wrong = giving.given, giving.wrong
        if (given, wrong) != before:
            self._told("given" if wrong == before[1] else "guessed")
        return "dead" if giving.dead else None


async def _messages(socket: aiohttp.ClientWebSocketResponse) -> AsyncIterator[Message]:
    """Until the connection ends. Raises RemoteProtocolError."""
    async for message in socket:
        if message.type is not aiohttp.WSMsgType.BINARY:
            raise RemoteProtocolError("it speaks of something else")
        yield decode(message.data)


def _door(rendezvous: str) -> URL:
    return parsed(rendezvous.rstrip("/") + PATH)


def _said(error: Exception) -> str:
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return f"it is none, or has no place for us (HTTP status {error.status})"
    return in_words(error) if isinstance(error, aiohttp.ClientError | OSError) else str(error)
