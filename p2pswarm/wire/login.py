"""What is said to a login service and by it, both directions together (docs/protocols/login.md).

JSON over HTTP. Whoever claims a name signs what he claims with the device key, together with a challenge of
the service and its authority: so a proof is good at one service, for one deed, and for a minute.
"""

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from p2pswarm.errors import FormatError, LocalProtocolError, RemoteProtocolError
from p2pswarm.formats.people.names import parse_name
from p2pswarm.formats.signing import is_signed

if TYPE_CHECKING:
    from p2pswarm.formats.people.certificate import Authority
    from p2pswarm.formats.signing import SigningKey

__all__ = [
    "CHALLENGE_SIZE",
    "LEAST_PASSWORD",
    "MAX_BODY",
    "MOST_PASSWORD",
    "Claim",
    "Deed",
    "Granted",
    "Refusal",
    "Revoked",
    "Why",
    "read_challenge",
    "write_challenge",
]

MAX_BODY = 8 << 10  # bytes
CHALLENGE_SIZE = 32  # bytes
LEAST_PASSWORD, MOST_PASSWORD = 8, 256  # characters

_KEY, _SIGNATURE = 32, 64  # bytes
_MAX_TEXT = 200  # characters of a refusal that are shown


class Deed(StrEnum):
    """What is asked for; also the last part of the path."""

    REGISTER = "register"
    """A certificate: for who comes first, again for the name's key, or for who has the password."""
    REVOKE = "revoke"
    """Take back the certificates of this key; with the password, those of all other keys of the name."""


class Why(StrEnum):
    """Why not."""

    BAD = "bad"  # no claim, or not proven
    TAKEN = "taken"  # somebody else's name, whatever password came with it
    LIMIT = "limit"  # too often, or too many
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class Claim:
    """Somebody with a device key wants something done to a name."""

    deed: Deed
    name: str
    key: bytes
    challenge: bytes
    signature: bytes = field(repr=False)
    password: str = field(default="", repr=False)

    @classmethod
    def sign(
        cls,
        deed: Deed,
        name: str,
        key: "SigningKey",
        challenge: bytes,
        authority: "Authority",
        password: str = "",
    ) -> Self:
        """Raises LocalProtocolError for what no service would read."""
        text = _text(deed, name, key.public, challenge, authority)
        claim = cls(deed, name, key.public, challenge, key.sign(text), password)
        try:
            return cls.read(deed, claim.encode())
        except RemoteProtocolError as error:
            raise LocalProtocolError(str(error)) from error

    def is_proven(self, authority: "Authority") -> bool:
        """Whether the holder of the key said this, to the service of that authority."""
        text = _text(self.deed, self.name, self.key, self.challenge, authority)
        return is_signed(text, self.signature, self.key)

    def encode(self) -> bytes:
        said = {
            "name": self.name,
            "key": self.key.hex(),
            "challenge": self.challenge.hex(),
            "signature": self.signature.hex(),
        }
        return _write(said | ({"password": self.password} if self.password else {}))

    @classmethod
    def read(cls, deed: Deed, body: bytes) -> Self:
        """Raises RemoteProtocolError."""
        said = _read(body)
        name = _string(said, "name", 64)
        try:
            if parse_name(name) != name:
                raise RemoteProtocolError(f"{name!r} is not how that name is written")
        except FormatError as error:
            raise RemoteProtocolError(str(error)) from error
        password = _string(said, "password", MOST_PASSWORD) if "password" in said else ""
        if "password" in said and (len(password) < LEAST_PASSWORD or not _is_text(password)):
            raise RemoteProtocolError(f"a password has at least {LEAST_PASSWORD} characters")
        return cls(
            deed,
            name,
            _hex(said, "key", _KEY),
            _hex(said, "challenge", CHALLENGE_SIZE),
            _hex(said, "signature", _SIGNATURE),
            password,
        )


@dataclass(frozen=True, slots=True)
class Granted:
    """The name is yours: here is the certificate."""

    certificate: bytes

    def encode(self) -> bytes:
        return _write({"certificate": b64encode(self.certificate).decode()})

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Raises RemoteProtocolError."""
        try:
            return cls(b64decode(_string(_read(body), "certificate", MAX_BODY), validate=True))
        except ValueError as error:
            raise RemoteProtocolError("a certificate that is not base64") from error


@dataclass(frozen=True, slots=True)
class Revoked:
    """So many certificates do not hold any more."""

    count: int

    def encode(self) -> bytes:
        return _write({"revoked": self.count})

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Raises RemoteProtocolError."""
        count = _read(body).get("revoked")
        if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count < 1 << 53:
            raise RemoteProtocolError("revoked is not a number")
        return cls(count)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why not, for programs and for people."""

    why: Why
    text: str

    def encode(self) -> bytes:
        return _write({"error": self.why, "text": self.text})

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Raises RemoteProtocolError."""
        said = _read(body)
        text = _string(said, "text", MAX_BODY)
        shown = "".join(sign if sign.isprintable() else " " for sign in text[:_MAX_TEXT])
        try:
            return cls(Why(_string(said, "error", 16)), shown)
        except ValueError as error:
            raise RemoteProtocolError("a refusal for no reason") from error


def write_challenge(challenge: bytes) -> bytes:
    return _write({"challenge": challenge.hex()})


def read_challenge(body: bytes) -> bytes:
    """Raises RemoteProtocolError."""
    return _hex(_read(body), "challenge", CHALLENGE_SIZE)


def _text(deed: Deed, name: str, key: bytes, challenge: bytes, authority: "Authority") -> bytes:
    """What is signed; nothing else that the key signs begins so."""
    head = f"p2pswarm login\n{deed}\n{name}\n{authority.fingerprint}\n"
    return head.encode() + key + challenge


def _write(said: dict[str, Any]) -> bytes:
    return json.dumps(said).encode()


def _read(body: bytes) -> dict[str, Any]:
    """Raises RemoteProtocolError."""
    if len(body) > MAX_BODY:
        raise RemoteProtocolError(f"{len(body)} bytes, at most {MAX_BODY} are read")
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RemoteProtocolError("not JSON") from error
    if not isinstance(said, dict):
        raise RemoteProtocolError("not a JSON object")
    return said


def _string(said: dict[str, Any], key: str, most: int) -> str:
    value = said.get(key)
    if not isinstance(value, str) or len(value) > most:
        raise RemoteProtocolError(f"{key} is not text of at most {most} characters")
    return value


def _hex(said: dict[str, Any], key: str, size: int) -> bytes:
    text = _string(said, key, 2 * size)
    if len(text) != 2 * size or set(text) - set("0123456789abcdef"):
        raise RemoteProtocolError(f"{key} is not {2 * size} hexadecimal digits")
    return bytes.fromhex(text)


def _is_text(text: str) -> bool:
    """Whether it has bytes: a lone half of a surrogate pair has none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
