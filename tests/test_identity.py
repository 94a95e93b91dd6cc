"""The files that say who the user is."""

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from p2pswarm.errors import DiskError, FormatError, HostError
from p2pswarm.identity import Identity
from tests.support.people import DAY, NOW, authority, issuer

LOGIN = "http://192.0.2.1:6969"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "identity"


def registered(folder: Path) -> Identity:
    identity = Identity.load(folder)
    identity.trust(authority(), LOGIN)
    identity.certify(issuer().issue("alice", identity.key.public, 7, NOW, NOW + 90 * DAY), NOW)
    return identity


def test_nobody_is_anybody_before_it_is_asked(folder: Path) -> None:
    identity = Identity.load(folder)
    assert (identity.name, identity.authority, identity.login) == (None, None, None)
    assert not folder.exists()


def test_a_key_is_made_once_and_for_its_owner_only(folder: Path) -> None:
    old = os.umask(0)
    try:
        key = Identity.load(folder).key
    finally:
        os.umask(old)
    assert Identity.load(folder).key.public == key.public
    assert (folder / "key.pem").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in folder.iterdir()] == ["key.pem"]


def test_of_two_who_make_a_key_both_use_the_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Identity.load(folder).key
    monkeypatch.setattr(Path, "exists", lambda path: False)  # looked before it was there
    assert Identity.load(folder).key.public == first.public


def test_all_is_there_again_after_a_restart(folder: Path) -> None:
    identity = registered(folder)
    assert identity.revoke(issuer().revoke([5], 3, NOW))
    again = Identity.load(folder)
    assert (again.name, again.login, again.authority) == ("alice", LOGIN, authority())
    assert again.certificate == identity.certificate
    assert again.revoked == identity.revoked
    assert not again.revoke(issuer().revoke([], 3, NOW))
    assert not again.revoke(issuer().revoke([], 2, NOW))
    assert again.revoke(issuer().revoke([], 4, NOW))


def test_another_authority_is_an_error_and_no_change(folder: Path) -> None:
    identity = registered(folder)
    with pytest.raises(HostError, match=authority(1).fingerprint):
        identity.trust(authority(1), LOGIN)
    assert Identity.load(folder).authority == identity.authority == authority()
    identity.trust(authority(), "http://192.0.2.2:6969")  # it has moved
    assert Identity.load(folder).login == "http://192.0.2.2:6969"


def test_only_a_certificate_of_our_key_is_ours(folder: Path) -> None:
    identity = Identity.load(folder)
    ours = identity.key.public
    with pytest.raises(FormatError):
        identity.certify(issuer().issue("alice", ours, 7, NOW, NOW + DAY), NOW)  # of whom?
    identity.trust(authority(), LOGIN)
    for certificate in (
        issuer().issue("alice", bytes(32), 7, NOW, NOW + DAY),
        issuer(1).issue("alice", ours, 7, NOW, NOW + DAY),
        issuer().issue("alice", ours, 7, NOW - 9 * DAY, NOW - DAY),
    ):
        with pytest.raises(FormatError):
            identity.certify(certificate, NOW)
    assert Identity.load(folder).name is None


def test_a_certificate_wanes_in_its_last_third(folder: Path) -> None:
    identity = Identity.load(folder)
    assert not identity.wanes(NOW)
    identity = registered(folder)
    assert not identity.wanes(NOW + 59 * DAY)
    assert identity.wanes(NOW + 61 * DAY)
    assert identity.wanes(NOW + 91 * DAY)


@pytest.mark.parametrize("name", ["authority.pem", "certificate.pem", "revoked.crl"])
def test_damaged_files_are_told_in_one_line(folder: Path, name: str) -> None:
    registered(folder)
    (folder / name).write_bytes(b"junk")
    with pytest.raises(
        HostError, match=r"is damaged: .*; move all but key.pem away, and p2pswarm register"
    ):
        Identity.load(folder)


@pytest.mark.parametrize("name", ["authority.pem", "certificate.pem", "revoked.crl", "key.pem"])
def test_a_pipe_in_the_place_of_a_file_keeps_nobody_waiting(folder: Path, name: str) -> None:
    registered(folder)
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    with pytest.raises(HostError, match=r"is damaged|holds no key"):
        _ = Identity.load(folder).key


def test_a_file_that_holds_no_key_is_never_replaced(folder: Path) -> None:
    folder.mkdir(parents=True)
    other = ec.generate_private_key(ec.SECP256R1())
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for data in (b"", b"junk", pem):
        (folder / "key.pem").write_bytes(data)
        with pytest.raises(HostError, match=r"holds .*: move it away"):
            _ = Identity.load(folder).key
        assert (folder / "key.pem").read_bytes() == data


def test_a_folder_that_cannot_be_made_is_a_disk_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DiskError):
        _ = Identity(tmp_path / "file" / "x").key
