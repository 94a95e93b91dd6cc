"""The ways to a rendezvous: with a real one, and with ones that lie."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random

import aiohttp
import pytest
from aiohttp import web

from p2pswarm.discovery.client import HttpClient
from p2pswarm.discovery.codes import rendezvous
from p2pswarm.discovery.codes.rendezvous import GivenCode, take
from p2pswarm.discovery.codes.visits import MOST_WRONG
from p2pswarm.errors import CodeError, NetworkError
from p2pswarm.formats.code import Code
from p2pswarm.formats.ids import Address
from p2pswarm.wire.rendezvous import (
    Ask,
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
from tests.support.patience import PATIENCE
from tracker.app import TrackerService
from tracker.config import TrackerSettings

LINK = b"magnet:?xt=urn:btih:" + b"a" * 40
Serve = Callable[[web.WebSocketResponse], Awaitable[None]]


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    client = HttpClient(most=20)
    yield client
    await client.aclose()


@pytest.fixture
async def place() -> AsyncIterator[str]:
    service = TrackerService(TrackerSettings(host="127.0.0.1", port=0, udp=False))
    await service.start()
    yield f"http://127.0.0.1:{service.port}"
    await service.aclose()


class Giver:
    """A code that is given, and what happened to it."""

    def __init__(self, place: str, client: HttpClient, at: Address | None = None) -> None:
        self.happened: asyncio.Queue[str] = asyncio.Queue()
        self.seen: list[str] = []
        self.given = GivenCode(place, client, Random(1), self._link, self.happened.put_nowait, at)

    def _link(self, seen: str) -> bytes:
        self.seen.append(seen)
        return LINK

    async def next(self) -> str:
        return await asyncio.wait_for(self.happened.get(), PATIENCE)


@asynccontextmanager
async def giving(place: str, client: HttpClient, ttl: float = 60) -> AsyncIterator[Giver]:
    giver = Giver(place, client)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(giver.given.run(ttl))
        assert await giver.next() == "drawn"
        yield giver
        running.cancel()


def wrong(code: Code) -> Code:
    return Code(code.number, code.first, "zodiac" if code.second != "zodiac" else "abacus")


@asynccontextmanager
async def liar(serve: Serve) -> AsyncIterator[str]:
    """A rendezvous that does as it likes."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        socket = web.WebSocketResponse(timeout=0.1)
        await socket.prepare(request)
        await serve(socket)
        await socket.close()
        return socket

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    (host, port) = runner.addresses[0][:2]
    yield f"http://{host}:{port}"
    await runner.cleanup()


async def heard(socket: web.WebSocketResponse) -> Message:
    return decode(await socket.receive_bytes(timeout=PATIENCE))


async def say(socket: web.WebSocketResponse, message: Message) -> None:
    await socket.send_bytes(encode(message))


async def test_many_receivers_at_once_get_the_link(place: str, client: HttpClient) -> None:
    async with giving(place, client) as giver:
        code = giver.given.code
        links = await asyncio.gather(*(take(code, place, client, Random(2)) for _ in range(8)))
        assert links == [LINK] * 8
        assert giver.given.given == 8
        assert giver.seen == ["127.0.0.1"]
    with pytest.raises(CodeError, match="nobody gives code"):  # it is given back at the end
        await take(code, place, client, Random(2))


async def test_wrong_guesses_end_the_code(place: str, client: HttpClient) -> None:
    async with giving(place, client) as giver:
        code = giver.given.code
        for left in reversed(range(MOST_WRONG)):
            with pytest.raises(CodeError, match="not the words"):
                await take(wrong(code), place, client, Random(2))
            assert await giver.next() == "guessed"
            assert giver.given.left == left
        assert await giver.next() == "dead"
        with pytest.raises(CodeError, match="nobody gives code"):
            await take(code, place, client, Random(2))


async def test_a_code_expires(place: str, client: HttpClient) -> None:
    giver = Giver(place, client)
    await giver.given.run(0.2)
    assert [await giver.next(), await giver.next()] == ["drawn", "expired"]
    with pytest.raises(CodeError, match="nobody gives code"):
        await take(giver.given.code, place, client, Random(2))


async def test_a_broken_connection_is_mended(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendezvous, "_REST", 0.01)
    claims: list[Message] = []

    async def serve(socket: web.WebSocketResponse) -> None:
        claims.append(await heard(socket))
        await say(socket, Claimed(7, b"t" * 16))
        if len(claims) == 3:
            await say(socket, Refused(Why.TAKEN))

    async with liar(serve) as place:
        giver = Giver(place, client)
        await giver.given.run(60)
    assert claims == [Claim(60), Claim(60, 7, b"t" * 16), Claim(60, 7, b"t" * 16)]
    happened = [giver.happened.get_nowait() for _ in range(giver.happened.qsize())]
    assert happened == ["drawn", "unreachable", "unreachable", "lost"]


async def test_a_rendezvous_does_not_make_a_giver_draw_another_code(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendezvous, "_REST", 0.01)
    visits = 0

    async def serve(socket: web.WebSocketResponse) -> None:
        nonlocal visits
        visits += 1
        await heard(socket)
        await say(socket, Claimed(6 + visits, b"t" * 16))
        if visits > 1:
            assert await heard(socket) == Left(0)

    async with liar(serve) as place:
        giver = Giver(place, client)
        await asyncio.wait_for(_until_unreachable_twice(giver), PATIENCE)
    assert giver.given.code.number == 7
    assert len(giver.seen) == 1


async def _until_unreachable_twice(giver: Giver) -> None:
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(giver.given.run(60))
        assert [await giver.next() for _ in range(3)] == ["drawn", "unreachable", "unreachable"]
        assert giver.given.trouble == "it gives another number than before"
        running.cancel()


async def test_a_rendezvous_that_guesses_burns_guesses(client: HttpClient) -> None:
    """It plays taker to the giver with any words but the right ones; every try is counted."""
    from p2pswarm.discovery.codes.visits import Taking

    verdicts: list[bytes] = []

    async def serve(socket: web.WebSocketResponse) -> None:
        await heard(socket)
        await say(socket, Claimed(7, b"t" * 16))
        for visit in range(1, 20):
            taking = Taking(Code(7, "acorn", "abacus"))
            await say(socket, Said(visit, taking.begin().body))
            first = await heard(socket)
            if not isinstance(first, Said):
                return
            proof = taking.received(Said(0, first.body))
            assert proof is not None
            await say(socket, Said(visit, proof.body))
            verdict = await heard(socket)
            assert isinstance(verdict, Said)
            verdicts.append(verdict.body)

    async with liar(serve) as place:
        giver = Giver(place, client)
        await giver.given.run(60)
    assert verdicts == [b"\0"] * MOST_WRONG
    assert giver.given.given == 0


async def test_a_rendezvous_that_answers_itself_is_not_believed(client: HttpClient) -> None:
    """It plays giver to a taker: one guess, and then the person hears of it; nothing goes on by itself."""
    from p2pswarm.discovery.codes.visits import Giving

    asked = 0

    async def serve(socket: web.WebSocketResponse) -> None:
        nonlocal asked
        asked += 1
        impostor = Giving(Code(7, "acorn", "academy"), b"magnet:?xt=evil")
        ask = await heard(socket)
        assert isinstance(ask, Ask)
        (first,) = impostor.received(Said(1, ask.body), 0)
        assert isinstance(first, Said)
        await say(socket, Said(0, first.body))
        proof = await heard(socket)
        assert isinstance(proof, Said)
        await say(socket, Refused(Why.BUSY, 1) if asked == 2 else Said(0, b"\1" + bytes(300)))

    async with liar(serve) as place:
        with pytest.raises(CodeError, match="nothing of it is believed"):
            await take(Code(7, "acorn", "abacus"), place, client, Random(2))
        with pytest.raises(NetworkError, match="hung up"):
            await take(Code(7, "acorn", "abacus"), place, client, Random(2))
    assert asked == 2


async def test_a_rendezvous_that_swaps_visits_gives_nobody_anything(client: HttpClient) -> None:
    """What two takers said is exchanged: neither gets the link, and the giver counts both."""
    from p2pswarm.discovery.codes.visits import Taking

    answers: list[bytes] = []

    async def serve(socket: web.WebSocketResponse) -> None:
        await heard(socket)
        await say(socket, Claimed(7, b"t" * 16))
        while not drawn:
            await asyncio.sleep(0)
        one, other = Taking(drawn[0]), Taking(drawn[0])
        await say(socket, Said(1, one.begin().body))
        await say(socket, Said(2, other.begin().body))
        first, second = await heard(socket), await heard(socket)
        assert isinstance(first, Said)
        assert isinstance(second, Said)
        proofs = one.received(Said(0, second.body)), other.received(Said(0, first.body))
        for visit, proof in enumerate(proofs, 1):
            assert proof is not None
            await say(socket, Said(visit, proof.body))
            verdict = await heard(socket)
            assert isinstance(verdict, Said)
            answers.append(verdict.body)
        await say(socket, Refused(Why.UNKNOWN))

    drawn: list[Code] = []
    async with liar(serve) as place:
        giver = Giver(place, client)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(giver.given.run(60))
            assert await giver.next() == "drawn"
            drawn.append(giver.given.code)
    assert answers == [b"\0", b"\0"]


async def test_one_that_only_listens_sees_neither_words_nor_link(client: HttpClient) -> None:
    seen = bytearray()
    giver_sockets: list[web.WebSocketResponse] = []
    takers: list[web.WebSocketResponse] = []

    async def serve(socket: web.WebSocketResponse) -> None:
        message = await heard(socket)
        if isinstance(message, Claim):
            giver_sockets.append(socket)
            await say(socket, Claimed(7, b"t" * 16))
            for _ in range(2):
                answer = await heard(socket)
                assert isinstance(answer, Said)
                seen.extend(answer.body)
                await say(takers[0], Said(0, answer.body))
            await say(socket, Refused(Why.UNKNOWN))
            return
        takers.append(socket)
        for _ in range(2):
            assert isinstance(message, Ask | Said)
            seen.extend(message.body)
            await say(giver_sockets[0], Said(1, message.body))
            try:
                message = await heard(socket)
            except TypeError:  # it is content, and closes
                return

    async with liar(serve) as place:
        giver = Giver(place, client)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(giver.given.run(60))
            assert await giver.next() == "drawn"
            code = giver.given.code
            assert await take(code, place, client, Random(2)) == LINK
    assert len(seen) > 300
    for secret in (code.first.encode(), code.second.encode(), LINK[:20], b"urn:btih", b"a" * 8):
        assert secret not in seen


@pytest.mark.parametrize(
    "rude",
    [
        encode(Claimed(7, bytes(16))),
        encode(Said(0, b"short")),
        encode(Said(0, b"A" + bytes(32))),
        b"",
        b"\4nonsense",
    ],
)
async def test_what_does_not_belong_there_is_an_error_of_the_network(
    client: HttpClient, rude: bytes
) -> None:
    async def serve(socket: web.WebSocketResponse) -> None:
        await heard(socket)
        await socket.send_bytes(rude)

    async with liar(serve) as place:
        with pytest.raises(NetworkError, match=place):
            await take(Code(7, "acorn", "abacus"), place, client, Random(2))


async def test_what_is_no_rendezvous_is_told(client: HttpClient) -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        where = {"Location": "http://127.0.0.1:1/"}
        return web.Response(status=302 if request.path == "/there/code" else 404, headers=where)

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    place = f"http://127.0.0.1:{runner.addresses[0][1]}"
    code = Code(7, "acorn", "abacus")
    with pytest.raises(NetworkError, match="HTTP status 404"):
        await take(code, place, client, Random(2))
    with pytest.raises(NetworkError, match="redirected: refused"):
        await take(code, f"{place}/there/", client, Random(2))
    await runner.cleanup()
    with pytest.raises(NetworkError, match="cannot be reached"):
        await take(code, place, client, Random(2))


async def test_a_busy_rendezvous_is_asked_again(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendezvous, "_REST", 0.01)
    asked = 0

    async def serve(socket: web.WebSocketResponse) -> None:
        nonlocal asked
        asked += 1
        await heard(socket)
        await say(socket, Refused(Why.BUSY, 0) if asked < 3 else Refused(Why.UNKNOWN))

    async with liar(serve) as place:
        with pytest.raises(CodeError, match="nobody"):
            await take(Code(7, "acorn", "abacus"), place, client, Random(2))
    assert asked == 3


async def test_a_full_rendezvous_is_asked_again(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendezvous, "_REST", 0.01)
    asked = 0

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        return web.Response(status=503 if asked < 3 else 500)

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    place = f"http://127.0.0.1:{runner.addresses[0][1]}"
    with pytest.raises(NetworkError, match="HTTP status 500"):
        await take(Code(7, "acorn", "abacus"), place, client, Random(2))
    assert asked == 3
    await runner.cleanup()


async def test_a_silent_rendezvous_is_left(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendezvous, "_TAKE_FOR", 0.1)

    async def serve(socket: web.WebSocketResponse) -> None:
        await heard(socket)
        with pytest.raises((TypeError, aiohttp.ClientError, ConnectionError)):
            await heard(socket)

    async with liar(serve) as place:
        with pytest.raises(NetworkError, match="no answer within"):
            await take(Code(7, "acorn", "abacus"), place, client, Random(2))
