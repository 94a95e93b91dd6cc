"""What the client of a login service makes of servers that lie, or are not there."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from p2pswarm.errors import NameTakenError, NetworkError, RefusedError
from p2pswarm.identity import Identity
from p2pswarm.registering import LoginService, renewed
from p2pswarm.wire.login import Claim, Deed, Granted, Refusal, Why, write_challenge
from tests.support.people import DAY, NOW, authority, issuer

Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Liar:
    """Answers like a login service, but for what a test changes."""

    def __init__(self) -> None:
        self.bodies = {
            "authority": authority().pem,
            "revoked": issuer().revoke([], 1, NOW).der,
            "challenge": write_challenge(bytes(32)),
        }
        self.status = 200
        self.location: str | None = None
        self.grant: Callable[[Claim], bytes] = lambda claim: Granted(
            issuer().issue(claim.name, claim.key, 7, NOW, NOW + 90 * DAY).der
        ).encode()
        self.asked: list[str] = []

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        what = request.path.removeprefix("/login/")
        self.asked.append(what)
        if self.location is not None and request.method == "POST":
            return web.Response(status=307, headers={"Location": self.location})
        if request.method == "POST":
            body = self.grant(Claim.read(Deed(what), await request.read()))
            return web.Response(status=self.status, body=body)
        return web.Response(body=self.bodies[what])


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[str]:
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[union-attr]
    finally:
        await runner.cleanup()


async def register(url: str, identity: Identity, name: str = "alice") -> None:
    service = LoginService(url, clock=lambda: NOW + DAY)
    try:
        await service.register(identity, name)
    finally:
        await service.aclose()


async def test_a_service_that_says_the_truth(tmp_path: Path) -> None:
    alice, liar = Identity.load(tmp_path), Liar()
    async with serving(liar.answer) as url:
        await register(url, alice, "Alice")
    assert alice.name == "alice"
    assert liar.asked == ["authority", "revoked", "challenge", "register"]


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("authority", b"junk"),
        ("authority", b"x" * 9000),
        ("authority", issuer().issue("alice", bytes(32), 7, NOW, NOW + DAY).pem),
        ("revoked", b""),
        ("revoked", b"x" * 70_000),
        ("revoked", issuer(1).revoke([], 1, NOW).der),
        ("challenge", b"[]"),
        ("challenge", b"\xff"),
    ],
)
async def test_an_answer_that_is_none_is_told_in_one_line(
    tmp_path: Path, what: str, body: bytes
) -> None:
    alice, liar = Identity.load(tmp_path), Liar()
    liar.bodies[what] = body
    async with serving(liar.answer) as url:
        with pytest.raises(NetworkError, match=r"^http://127") as error:
            await register(url, alice)
    assert "\n" not in str(error.value)
    assert alice.name is None


@pytest.mark.parametrize(
    "grant",
    [
        lambda claim: b"{}",
        lambda claim: Granted(b"junk").encode(),
        lambda claim: Granted(issuer().issue("bob", claim.key, 7, NOW, NOW + DAY).der).encode(),
        lambda claim: Granted(issuer().issue("alice", bytes(32), 7, NOW, NOW + DAY).der).encode(),
        lambda claim: Granted(issuer(1).issue("alice", claim.key, 7, NOW, NOW + DAY).der).encode(),
        lambda claim: Granted(issuer().issue("alice", claim.key, 7, 0, DAY).der).encode(),
    ],
)
async def test_a_certificate_that_is_not_ours_is_not_kept(
    tmp_path: Path, grant: Callable[[Claim], bytes]
) -> None:
    alice, liar = Identity.load(tmp_path), Liar()
    liar.grant = grant
    async with serving(liar.answer) as url:
        with pytest.raises(NetworkError):
            await register(url, alice)
    assert Identity.load(tmp_path).name is None


async def test_a_refusal_is_told_as_the_service_says_it(tmp_path: Path) -> None:
    alice, liar = Identity.load(tmp_path), Liar()
    liar.grant, liar.status = lambda claim: Refusal(Why.TAKEN, "the name is taken").encode(), 409
    async with serving(liar.answer) as url:
        with pytest.raises(NameTakenError, match="the name is taken"):
            await register(url, alice)
        liar.grant = lambda claim: Refusal(Why.BUSY, "come again").encode()
        with pytest.raises(RefusedError, match="come again"):
            await register(url, alice)
        liar.grant = lambda claim: b"<html>"
        with pytest.raises(NetworkError, match="not JSON"):
            await register(url, alice)


async def test_a_claim_goes_nowhere_else(tmp_path: Path) -> None:
    other = Liar()
    liar = Liar()
    async with serving(other.answer) as elsewhere, serving(liar.answer) as url:
        liar.location = elsewhere + "/login/register"
        with pytest.raises(NetworkError):
            await register(url, Identity.load(tmp_path))
    assert other.asked == []


@pytest.mark.parametrize("url", ["ftp://example.org", "alice", "", "http://", "http://a b"])
async def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(NetworkError, match="not a"):
        LoginService(url)


async def test_nobody_there_is_a_network_error(tmp_path: Path) -> None:
    async with serving(Liar().answer) as url:
        pass
    with pytest.raises(NetworkError, match="cannot be reached"):
        await register(url, Identity.load(tmp_path))


async def test_a_certificate_is_renewed_when_it_wanes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    alice, liar = Identity.load(tmp_path), Liar()
    assert not await renewed(alice)  # nobody has no name
    async with serving(liar.answer) as url:
        await register(url, alice)
        first, asked = alice.certificate, len(liar.asked)
        assert not await renewed(alice, clock=lambda: NOW + 50 * DAY)
        assert len(liar.asked) == asked
        liar.grant = lambda claim: Granted(
            issuer().issue(claim.name, claim.key, 8, NOW + 70 * DAY, NOW + 160 * DAY).der
        ).encode()
        assert await renewed(alice, clock=lambda: NOW + 70 * DAY)
        assert alice.certificate != first
    with caplog.at_level(logging.WARNING):
        assert not await renewed(alice, clock=lambda: NOW + 150 * DAY)  # nobody is there
    assert "not renewed yet" in caplog.text
    assert Identity.load(tmp_path).certificate == alice.certificate
