"""Who may put a torrent into the hosted folder: whoever knows the token, and not too often.

The token is part of the form itself, and nothing that a browser adds on its own lets anybody in; so a page of
somebody else cannot upload in a visitor's name. Such a page is refused all the same, before it can guess.
The token comes first in the form: without it nobody gets a torrent's worth of our attention.
"""

import hmac
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from p2pswarm.errors import HostError
from p2pswarm.formats.bencode import MAX_SIZE

__all__ = ["RefusedUploadError", "Uploads", "line_of"]

LEAST_TOKEN, MOST_TOKEN = 16, 1024  # characters
ROOM_FOR_FORM = 16 << 10  # bytes of an upload that are not the torrent
A_MINUTE = 20  # uploads from one line, those with a wrong token among them
MOST_REMEMBERED = 10_000  # lines
MINUTE = 60.0


# What aiohttp raises when it reads a form that is none.
_MALFORMED = (
    ValueError,
    AssertionError,
    RuntimeError,
    HttpProcessingError,
    web.RequestPayloadError,
)


class RefusedUploadError(Exception):
    """`status` is HTTP's; the text is for whoever uploads."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Uploads:
    """`token_file` None: nobody may. Raises HostError for a token that could be guessed."""

    def __init__(self, token_file: Path | None, clock: Callable[[], float]) -> None:
        self._file, self._clock = token_file, clock
        self._token = b"" if token_file is None else _read_token(token_file)
        self._recent: OrderedDict[str, tuple[float, int]] = OrderedDict()

    @property
    def allowed(self) -> bool:
        """Whether anybody may upload."""
        return bool(self._token)

    def reload(self) -> None:
        """Read the token again. Raises HostError, and then the old one holds."""
        if self._file is not None:
            self._token = _read_token(self._file)

    async def take(self, request: web.BaseRequest, caller: str) -> bytes:
        """The torrent that is uploaded, as its bytes. Raises RefusedUploadError."""
        if not self.allowed:
            raise RefusedUploadError(405, "nothing is taken here")
        self._count(caller)
        _refuse_other_pages(request)
        _refuse_large(request)
        try:
            return await self._read(request)
        except _MALFORMED as error:
            raise RefusedUploadError(400, "that is not the form") from error

    def _count(self, caller: str) -> None:
        caller, now = line_of(caller), self._clock()
        since, count = self._recent.pop(caller, (now, 0))
        if now - since >= MINUTE:
            since, count = now, 0
        self._recent[caller] = since, count + 1
        while len(self._recent) > MOST_REMEMBERED:
            self._recent.popitem(last=False)
        if count >= A_MINUTE:
            raise RefusedUploadError(429, "too many uploads, wait a minute")

    async def _read(self, request: web.BaseRequest) -> bytes:
        if request.content_type != "multipart/form-data":
            raise RefusedUploadError(415, "that is not the form")
        form = await request.multipart()
        token = await _field(await form.next(), "token", MOST_TOKEN)
        if not hmac.compare_digest(token.strip(), self._token):
            raise RefusedUploadError(403, "that is not the token")
        return await _field(await form.next(), "torrent", MAX_SIZE)


def line_of(caller: str) -> str:
    """Whose line the address is on: who has one of IPv6 has all with the same first half."""
    try:
        ip = ip_address(caller)
    except ValueError:
        return caller
    return caller if isinstance(ip, IPv4Address) else f"{int(ip) >> 64:x}::"


def _read_token(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            token = file.read(MOST_TOKEN + 1).strip()
    except OSError as error:
        raise HostError(f"the token in {path} cannot be read: {error.strerror}") from error
    if not LEAST_TOKEN <= len(token) <= MOST_TOKEN:
        raise HostError(f"the token in {path} has not {LEAST_TOKEN} to {MOST_TOKEN} characters")
    return token


def _refuse_other_pages(request: web.BaseRequest) -> None:
    """Browsers say which page a form is from; other programs say nothing."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    ours = site in (None, "same-origin", "none")
    if site is None and origin is not None:
        ours = urlsplit(origin).netloc.lower() == request.headers.get("Host", "").lower()
    if not ours:
        raise RefusedUploadError(403, "the form is on another page")


def _refuse_large(request: web.BaseRequest) -> None:
    if request.content_length is None:
        raise RefusedUploadError(411, "how much comes has to be said first")
    if request.content_length > MAX_SIZE + ROOM_FOR_FORM:
        raise RefusedUploadError(413, f"a torrent has at most {MAX_SIZE >> 20} MiB")


async def _field(part: object, name: str, most: int) -> bytes:
    """What the next field of the form holds. Raises RefusedUploadError, ValueError."""
    if not isinstance(part, BodyPartReader) or part.name != name:
        raise RefusedUploadError(400, f"the form has to go on with {name}")
    held = bytearray()
    while chunk := await part.read_chunk():
        held += chunk
        if len(held) > most:
            raise RefusedUploadError(413, f"{name} is too long")
    return bytes(held)
