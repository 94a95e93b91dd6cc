"""The login service by HTTP, below `/login/` on the tracker's port.

`authority` and `revoked` are files for everybody, `challenge` is what a claim has to sign, and claims are
posted to `register` and `revoke`. Programs ask here, never pages: a claim has to be JSON, which a page of
somebody else cannot post. What a claim holds is never logged.

Names, hashes and signatures are one thread's work, in order. Claims that wait for it are counted, and whoever
comes when there are too many is told so.
"""

import logging
import secrets
import time
from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from p2pswarm.errors import HostError, RemoteProtocolError
from p2pswarm.formats.people.certificate import Authority
from p2pswarm.wire.login import (
    MAX_BODY,
    Claim,
    Deed,
    Granted,
    Refusal,
    Revoked,
    Why,
    write_challenge,
)
from tracker.login.challenges import Challenges
from tracker.login.limits import Limits
from tracker.login.registry import Registry
from tracker.worker import Worker

__all__ = ["Login"]

_PATHS = "/login/"
_FILE = "login.sqlite"
_QUEUE = 32  # claims that wait for their hash, some two seconds of them

_STATUS = {Why.BAD: 400, Why.TAKEN: 409, Why.LIMIT: 429, Why.BUSY: 503}
_RETRY_AFTER = "60"  # seconds
_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}

_log = logging.getLogger(__name__)


class Login:
    """`start` before use; `clock` is seconds since 1970, because certificates are about dates."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._path, self._clock = folder / _FILE, clock
        self._worker = Worker("the login service")
        self._challenges = Challenges(secrets.token_bytes(32))
        self._limits = Limits()
        self._registry: Registry | None = None
        self._waiting = 0

    async def start(self) -> None:
        """Raises HostError when the names cannot be kept there."""
        self._registry = await self._worker.run(partial(Registry, self._path, self._clock()))

    async def aclose(self) -> None:
        """May be called twice."""
        await self._worker.aclose()
        registry, self._registry = self._registry, None
        if registry is not None:
            registry.close()

    @property
    def authority(self) -> Authority:
        """Whose certificates are given here."""
        return self._open.issuer.authority

    async def answer(
        self, request: web.BaseRequest, path: str, caller: IPv4Address | IPv6Address
    ) -> web.Response:
        """What stands below `/login/`."""
        what = path.removeprefix(_PATHS)
        if what in list(Deed):
            return await self._claimed(request, Deed(what), caller)
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=405, text="only GET\n", headers={"Allow": "GET, HEAD"})
        match what:
            case "authority":
                return _file(self.authority.pem, "application/x-pem-file")
            case "revoked":
                return _file(self._open.revocations.der, "application/pkix-crl")
            case "challenge":
                return _json(write_challenge(self._challenges.give(self._clock())))
            case _:
                return web.Response(status=404, text="there is nothing here\n")

    @property
    def _open(self) -> Registry:
        assert self._registry is not None, "start() first"
        return self._registry

    async def _claimed(
        self, request: web.BaseRequest, deed: Deed, caller: IPv4Address | IPv6Address
    ) -> web.Response:
        """Whoever is refused before his claim was read is hung up on."""
        if request.method != "POST":
            return web.Response(status=405, text="only POST\n", headers={"Allow": "POST"})
        try:
            if not self._limits.claim(caller, self._clock()):
                return _refused(Refusal(Why.LIMIT, "too many claims from your address"), end=True)
            claim = Claim.read(deed, await _body(request))
        except RemoteProtocolError as error:
            return _refused(Refusal(Why.BAD, str(error)), end=True)
        return _answered(await self._judged(claim, caller))

    async def _judged(
        self, claim: Claim, caller: IPv4Address | IPv6Address
    ) -> Granted | Revoked | Refusal:
        now = self._clock()
        if not self._challenges.good(claim.challenge, now):
            return Refusal(Why.BAD, "the challenge is not ours, or too old: ask for a new one")
        if not claim.is_proven(self.authority):
            return Refusal(Why.BAD, "that is not signed by the key that it names")
        if self._waiting >= _QUEUE:
            return Refusal(Why.BUSY, "too many claims at once, try again in a minute")
        if claim.password and not self._limits.guess(caller, claim.name, now):
            return Refusal(Why.LIMIT, "too many passwords for this name, or from your address")
        return await self._done(claim, now, lambda: self._limits.new_name(caller, now))

    async def _done(
        self, claim: Claim, now: float, may_take: Callable[[], bool]
    ) -> Granted | Revoked | Refusal:
        """`may_take` is asked in the thread, while nobody else is: jobs run one after another."""
        self._waiting += 1
        try:
            return await self._worker.run(partial(self._open.do, claim, now, may_take))
        except HostError as error:
            _log.warning("%s", error)
            return Refusal(Why.BUSY, "the names cannot be kept just now")
        finally:
            self._waiting -= 1


async def _body(request: web.BaseRequest) -> bytes:
    """Raises RemoteProtocolError."""
    if request.content_type != "application/json":
        raise RemoteProtocolError("a claim is application/json")
    if request.content_length is None or request.content_length > MAX_BODY:
        raise RemoteProtocolError(f"a claim says its length, at most {MAX_BODY} bytes")
    try:
        return await request.content.readexactly(request.content_length)
    except (
        *(ValueError, EOFError, HttpProcessingError, web.RequestPayloadError),
        ConnectionError,  # it hung up: nothing for the log
    ) as error:
        raise RemoteProtocolError("that is not a body") from error


def _answered(answer: Granted | Revoked | Refusal) -> web.Response:
    return _refused(answer) if isinstance(answer, Refusal) else _json(answer.encode())


def _refused(refusal: Refusal, *, end: bool = False) -> web.Response:
    response = _json(refusal.encode(), _STATUS[refusal.why])
    if refusal.why in (Why.LIMIT, Why.BUSY):
        response.headers["Retry-After"] = _RETRY_AFTER
    if end:
        response.force_close()
    return response


def _json(body: bytes, status: int = 200) -> web.Response:
    return web.Response(status=status, body=body, headers=_HEADERS, content_type="application/json")


def _file(body: bytes, kind: str) -> web.Response:
    return web.Response(body=body, headers=_HEADERS, content_type=kind)
