"""The login service, asked by HTTP: a certificate for the user's name, and what the authority took back.

It is asked to register, to renew and to revoke, never to find or to call: where it does not answer, whoever
has a certificate goes on with it.

The one hard thing: the first answer of a service decides whom we believe from then on. Over the Internet it
has to come by https, or the user names the fingerprint of the authority himself, behind a # of the URL.
Passwords go over the Internet by https alone.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

import aiohttp

from p2pswarm.discovery.client import HttpClient, in_words, parsed
from p2pswarm.errors import (
    FormatError,
    NameTakenError,
    NetworkError,
    P2PSwarmError,
    RefusedError,
    RemoteProtocolError,
    TrackerError,
)
from p2pswarm.formats.people.certificate import (
    MAX_REVOCATIONS,
    Authority,
    Certificate,
    Revocations,
)
from p2pswarm.formats.people.names import parse_name
from p2pswarm.formats.zones import Zone
from p2pswarm.net.binding import EVERYWHERE
from p2pswarm.wire.login import (
    MAX_BODY,
    Claim,
    Deed,
    Granted,
    Refusal,
    Revoked,
    Why,
    read_challenge,
)

if TYPE_CHECKING:
    from yarl import URL

    from p2pswarm.discovery.names import Names
    from p2pswarm.identity import Identity

__all__ = ["LoginService", "renewed"]

_PATIENCE = 20.0  # seconds for one answer; a password's hash may wait for others
_AT_ONCE = 2  # connections
_PLAIN = {"Accept-Encoding": "identity"}

log = logging.getLogger(__name__)

_T = TypeVar("_T")


class LoginService:
    """`url` is where the service is, with the fingerprint of its authority behind a # if that is known.

    Raises NetworkError for a URL that is none.
    """

    def __init__(
        self,
        url: str,
        names: "Names | None" = None,
        *,
        hosts: Sequence[str] = EVERYWHERE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        place, _, fingerprint = url.partition("#")
        self.url, self._fingerprint = place.rstrip("/"), fingerprint.lower()
        self._base = _url(self.url)
        self._client = HttpClient(names, hosts=hosts, most=_AT_ONCE)
        self._clock = clock

    async def aclose(self) -> None:
        """May be called twice."""
        await self._client.aclose()

    async def introduce(self, identity: "Identity") -> None:
        """Have its authority trusted, unless it is; and keep what that took back.

        Raises NetworkError; HostError when another authority is trusted.
        """
        authority, far = await self._authority()
        if self._fingerprint not in ("", authority.fingerprint):
            raise NetworkError(
                f"{self.url} has the authority {authority.fingerprint}, not that one"
            )
        known = self._fingerprint or identity.authority
        if not known and far and self._base.scheme != "https":
            raise NetworkError(
                f"anybody between here and {self.url} could answer in its name: use https, or "
                f"{self.url}#FINGERPRINT with what the service printed"
            )
        identity.trust(authority, self.url)
        identity.revoke(await self._revoked(authority))

    async def register(self, identity: "Identity", name: str, password: str = "") -> Certificate:
        """A certificate of this name for our key; also a new one for the name that we have.

        Raises FormatError for a name that is none, NameTakenError, RefusedError, NetworkError, HostError.
        """
        await self.introduce(identity)
        body = await self._claim(identity, Deed.REGISTER, parse_name(name), password)
        with _told(self.url):
            certificate = Certificate.parse(Granted.read(body).certificate)
            if certificate.name != parse_name(name):
                raise RemoteProtocolError("it certified another name")
            identity.certify(certificate, self._clock())
        return certificate

    async def revoke(self, identity: "Identity", name: str, password: str = "") -> int:
        """Take back the certificates of our key; with the password, those of all other keys of the name.

        How many there were. Raises what `register` raises.
        """
        await self.introduce(identity)
        body = await self._claim(identity, Deed.REVOKE, parse_name(name), password)
        with _told(self.url):
            count = Revoked.read(body).count
        await self.introduce(identity)
        return count

    async def _claim(self, identity: "Identity", deed: Deed, name: str, password: str) -> bytes:
        assert identity.authority is not None, "introduce() first"
        body, _ = await self._get("challenge", MAX_BODY)
        with _told(self.url):
            challenge = read_challenge(body)
        claim = Claim.sign(deed, name, identity.key, challenge, identity.authority, password)

        def admit(url: "URL", farthest: Zone) -> None:
            if password and farthest is Zone.INTERNET and url.scheme != "https":
                raise NetworkError(f"no password goes to {self.url}: over the Internet use https")

        return await self._post(deed, claim.encode(), admit)

    async def _authority(self) -> tuple[Authority, bool]:
        """It, and whether the answer came from the Internet."""
        body, far = await self._get("authority", MAX_BODY)
        with _told(self.url):
            return Authority.parse(body), far

    async def _revoked(self, authority: Authority) -> Revocations:
        body, _ = await self._get("revoked", MAX_REVOCATIONS)
        with _told(self.url):
            return Revocations.parse(body, authority)

    async def _get(self, what: str, limit: int) -> tuple[bytes, bool]:
        async def ask() -> tuple[bytes, bool]:
            asking = self._client.get(self._base / "login" / what, _admit, _PLAIN)
            async with asking as (response, farthest):
                if response.status == HTTPStatus.NOT_FOUND:
                    raise NetworkError(f"there is no login service at {self.url}")
                if response.status != HTTPStatus.OK:
                    raise NetworkError(f"{self.url} answered with HTTP status {response.status}")
                return await self._body(response, limit), farthest is Zone.INTERNET

        return await self._patiently(ask)

    async def _post(self, deed: Deed, body: bytes, admit: Callable[["URL", Zone], None]) -> bytes:
        """Raises NameTakenError, RefusedError with what the service said."""

        async def ask() -> bytes:
            headers = {**_PLAIN, "Content-Type": "application/json"}
            url = self._base / "login" / deed
            async with self._client.post(url, admit, body, headers) as response:
                answer = await self._body(response, MAX_BODY)
                if response.status == HTTPStatus.OK:
                    return answer
                with _told(self.url):
                    refusal = Refusal.read(answer)
                kind = NameTakenError if refusal.why is Why.TAKEN else RefusedError
                raise kind(f"{self.url}: {refusal.text}")

        return await self._patiently(ask)

    async def _body(self, response: aiohttp.ClientResponse, limit: int) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > limit:
                raise NetworkError(f"{self.url} answered with more than {limit} bytes")
        return bytes(body)

    async def _patiently(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        """Raises NetworkError for everything that goes wrong on the way."""
        try:
            async with asyncio.timeout(_PATIENCE):
                return await ask()
        except TimeoutError as error:
            raise NetworkError(f"{self.url}: no answer within {_PATIENCE:g} s") from error
        except TrackerError as error:
            raise NetworkError(f"{self.url}: {error}") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NetworkError(f"{self.url}: {in_words(error)}") from error


async def renewed(
    identity: "Identity",
    *,
    hosts: Sequence[str] = EVERYWHERE,
    clock: Callable[[], float] = time.time,
) -> bool:
    """A new certificate where the old one wanes and the service answers; whether there is one.

    Never needed: what goes wrong is told in the log, and the old certificate goes on.
    """
    if identity.login is None or identity.name is None or not identity.wanes(clock()):
        return False
    service = LoginService(identity.login, hosts=hosts, clock=clock)
    try:
        await service.register(identity, identity.name)
    except P2PSwarmError as error:
        log.warning("the certificate of %s is not renewed yet: %s", identity.name, error)
        return False
    finally:
        await service.aclose()
    return True


def _admit(url: "URL", nearest: Zone) -> None:
    """The user named it, so it may be as near as it likes."""


def _url(text: str) -> "URL":
    """Raises NetworkError."""
    try:
        return parsed(text)
    except TrackerError as error:
        raise NetworkError(f"{text}: {error}") from error


@contextmanager
def _told(url: str) -> Iterator[None]:
    """What is wrong with its answer, as something that is wrong with the service."""
    try:
        yield
    except (FormatError, RemoteProtocolError) as error:
        raise NetworkError(f"{url}: {error}") from error
