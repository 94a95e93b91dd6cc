"""Who the user is to others: a device key, the certificate of his name, and the authority behind it.

They are files of the folder `identity` in the data folder, and there is no other copy of any of these facts:
`key.pem` (for its owner only), `certificate.pem`, `authority.pem` with `login`, the URL of its service,
and `revoked.crl`. Plain calls that wait for the disk.

The one hard thing: a service is believed by its authority, and that is pinned when it is first seen. Another
one later is an error for the user to judge, never a change.
"""

import os
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from p2pswarm.disk.handles import FILE_FLAGS, disk_error, read_kept, sync_folder
from p2pswarm.errors import FormatError, HostError
from p2pswarm.formats.people.certificate import Authority, Certificate, Revocations
from p2pswarm.formats.signing import SigningKey

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FOLDER", "Identity"]

FOLDER = "identity"
_KEY, _CERTIFICATE = "key.pem", "certificate.pem"
_AUTHORITY, _LOGIN, _REVOKED = "authority.pem", "login", "revoked.crl"
_ANEW = "move it away for a new one; with its password a name goes over to that"
_LONGEST = 1 << 17  # bytes of a file that are read


class Identity:
    """What is in the folder, and what is put there. `load` makes one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificate: Certificate | None = None
        self.authority: Authority | None = None
        self.revoked: Revocations | None = None
        self.hearers: list[Callable[[Revocations], None]] = []
        """Who ends what goes on with somebody whose certificate was taken back; told of each newer list."""
        self.login: str | None = None
        """The URL of the service that the authority is of."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The folder need not be there. Raises DiskError, HostError for files that are damaged."""
        identity = cls(folder)
        try:
            identity._read()
        except FormatError as error:
            raise HostError(
                f"{folder} is damaged: {error}; move all but {_KEY} away, and p2pswarm register NAME "
                f"--login URL writes it anew"
            ) from error
        return identity

    @cached_property
    def key(self) -> SigningKey:
        """The device key; made, and on the disk, when it is first asked for. Raises DiskError, HostError."""
        return _key_in(self.folder / _KEY)

    @property
    def name(self) -> str | None:
        """What the certificate says."""
        return None if self.certificate is None else self.certificate.name

    @property
    def is_revoked(self) -> bool:
        """Whether the authority took the certificate back."""
        held, gone = self.certificate, self.revoked
        return held is not None and gone is not None and held.serial in gone.serials

    def trust(self, authority: Authority, login: str) -> None:
        """This service's authority is ours from now on. Raises HostError when another one is, DiskError."""
        if self.authority is not None and self.authority != authority:
            raise HostError(
                f"{login} shows another authority than the one that is trusted here "
                f"({authority.fingerprint}, not {self.authority.fingerprint}): it is another service, or "
                f"somebody is in between; who is sure removes {self.folder / _AUTHORITY}"
            )
        if self.authority is None:
            self._write(_AUTHORITY, authority.pem)
        if self.login != login:
            self._write(_LOGIN, login.encode() + b"\n")
        self.authority, self.login = authority, login

    def certify(self, certificate: Certificate, now: float) -> None:
        """This is our name from now on. Raises FormatError when it does not hold, DiskError."""
        if self.authority is None or certificate.key != self.key.public:
            raise FormatError("a certificate of another key")
        self.authority.check(certificate, now, self.revoked)
        self._write(_CERTIFICATE, certificate.pem)
        self.certificate = certificate

    def revoke(self, revoked: Revocations) -> bool:
        """Keep what the authority took back; whether that was news: the newest wins. Raises DiskError."""
        if self.revoked is not None and revoked.number <= self.revoked.number:
            return False
        self._write(_REVOKED, revoked.der)
        self.revoked = revoked
        for hear in list(self.hearers):
            hear(revoked)
        return True

    def wanes(self, now: float) -> bool:
        """Whether less than a third of the certificate's time is left."""
        held = self.certificate
        return held is not None and 3 * (held.ends - now) < held.ends - held.begins

    def _read(self) -> None:
        """Raises FormatError, DiskError."""
        data = self._file(_AUTHORITY)
        if data is None:
            return  # nothing else can be judged then
        self.authority = Authority.parse(data)
        login, revoked = self._file(_LOGIN), self._file(_REVOKED)
        self.login = None if login is None else login.decode(errors="replace").strip()
        if revoked is not None:
            self.revoked = Revocations.parse(revoked, self.authority)
        certificate = self._file(_CERTIFICATE)
        if certificate is not None:
            self.certificate = Certificate.of_pem(certificate)

    def _file(self, name: str) -> bytes | None:
        path = self.folder / name
        try:
            return read_kept(path, _LONGEST)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise disk_error("read", path, error) from error

    def _write(self, name: str, data: bytes) -> None:
        """Raises DiskError."""
        path = self.folder / name
        try:
            _replace(path, data)
        except OSError as error:
            raise disk_error("write", path, error) from error


def _key_in(path: Path) -> SigningKey:
    """The key of this file; a new one, and the file, where there is none. Raises HostError, DiskError."""
    try:
        if not path.exists():
            _create(path, _to_pem(SigningKey.new()))
        data = read_kept(path, _LONGEST)
    except OSError as error:
        raise disk_error("use", path, error) from error
    try:
        key = load_pem_private_key(data, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise HostError(f"{path} holds no key: {_ANEW}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise HostError(f"{path} holds another kind of key than ed25519: {_ANEW}")
    return SigningKey(key.private_bytes_raw())


def _to_pem(key: SigningKey) -> bytes:
    made = Ed25519PrivateKey.from_private_bytes(key.seed)
    return made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _create(path: Path, data: bytes) -> None:
    """Never over another file: of two processes that make a key at once, both use the first one's."""
    path.parent.mkdir(0o700, parents=True, exist_ok=True)
    new = _written_beside(path, data)
    try:
        with suppress(FileExistsError):
            path.hardlink_to(new)
    finally:
        new.unlink()
    sync_folder(path.parent)


def _replace(path: Path, data: bytes) -> None:
    """Whole or not at all, and on the disk."""
    path.parent.mkdir(0o700, parents=True, exist_ok=True)
    _written_beside(path, data).replace(path)
    sync_folder(path.parent)


def _written_beside(path: Path, data: bytes) -> Path:
    """A file for its owner's eyes only, in the same folder; not its name yet."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | FILE_FLAGS, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - has no path any more
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    return new
