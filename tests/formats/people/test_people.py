"""Names, certificates and records: what is true is believed, and nothing else."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given, settings, strategies as st

from p2pswarm.errors import FormatError, LocalProtocolError
from p2pswarm.formats import bencode
from p2pswarm.formats.ids import Address
from p2pswarm.formats.people.certificate import (
    MAX_CERTIFICATE,
    MAX_REVOCATIONS,
    Authority,
    Certificate,
    Revocations,
)
from p2pswarm.formats.people.issuing import Issuer
from p2pswarm.formats.people.names import name_hash, parse_name
from p2pswarm.formats.people.record import MAX_RECORD, MAX_TTL, Record
from p2pswarm.formats.signing import SigningKey
from tests.support.people import DAY, NOW, Person, authority, issuer, person

ALICE = person("alice")
V4, V6 = Address("203.0.113.7", 46881), Address("2001:db8::7", 46881)
RECORD = ALICE.record(addresses=[V4, V6], homes=[V6])
BODY = bencode.decode(RECORD.text)


@pytest.mark.parametrize(
    ("text", "name"),
    [("alice", "alice"), (" Alice ", "alice"), ("a.b_c-9", "a.b_c-9"), ("x" * 32, "x" * 32)],
)
def test_a_name_has_one_spelling(text: str, name: str) -> None:
    assert parse_name(text) == name
    assert name_hash(text) == name_hash(name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ab",
        "x" * 33,
        "9lives",
        ".dot",
        "two words",
        "ali\nce",
        "älice",
        "\u212aelvin",
        "a/b",
        "alice\0",
    ],
)
def test_what_is_no_name_is_told_in_one_line(text: str) -> None:
    with pytest.raises(FormatError, match="is not a name: 3 to 32 of") as error:
        parse_name(text)
    assert "\n" not in str(error.value)


def test_the_place_of_a_name_is_as_documented() -> None:
    assert name_hash("alice").hex().startswith("d4e44d68")


def test_a_certificate_says_whose_key_it_is() -> None:
    again = Certificate.parse(ALICE.certificate.der)
    assert again == ALICE.certificate
    assert (again.name, again.key) == ("alice", ALICE.key.public)
    assert (again.begins, again.ends) == (NOW, NOW + 90 * DAY)
    authority().check(again, NOW + DAY)


def test_an_authority_is_the_same_in_either_clothes() -> None:
    ours = authority()
    assert Authority.parse(ours.pem) == Authority.parse(ours.der) == ours
    assert Certificate.of_pem(ALICE.certificate.pem) == ALICE.certificate
    assert ours.fingerprint != authority(1).fingerprint


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (NOW + 91 * DAY, "expired"),
        (NOW - 2 * DAY, "future"),
        (NOW - DAY / 2, ""),
        (NOW + 89 * DAY, ""),
    ],
)
def test_a_certificate_holds_in_its_period(now: float, why: str) -> None:
    if not why:
        return authority().check(ALICE.certificate, now)
    with pytest.raises(FormatError, match=why):
        authority().check(ALICE.certificate, now)
    return None


def test_a_certificate_of_another_authority_is_not_believed() -> None:
    with pytest.raises(FormatError, match="another login service"):
        authority(1).check(ALICE.certificate, NOW)
    stranger = Person("alice", by=1).certificate
    with pytest.raises(FormatError, match="another login service"):
        authority().check(stranger, NOW)
    with pytest.raises(FormatError, match="another login service"):
        replace(authority(), name="p2pswarm login 00000000").check(ALICE.certificate, NOW)
    impostor = Issuer(bytes(32), replace(authority(), key=SigningKey(bytes(32)).public))
    with pytest.raises(FormatError, match="another login service"):
        authority().check(impostor.issue("alice", ALICE.key.public, 7, NOW, NOW + DAY), NOW)


def test_what_was_taken_back_does_not_hold() -> None:
    revoked = issuer().revoke([5, ALICE.certificate.serial], 3, NOW)
    assert Revocations.parse(revoked.der, authority()) == revoked
    assert (revoked.number, len(revoked.serials)) == (3, 2)
    with pytest.raises(FormatError, match="revoked"):
        authority().check(ALICE.certificate, NOW, revoked)
    authority().check(ALICE.certificate, NOW, issuer().revoke([], 4, NOW))
    with pytest.raises(FormatError, match="another login service"):
        Revocations.parse(revoked.der, authority(1))


def test_a_list_of_revocations_is_bounded() -> None:
    with pytest.raises(FormatError, match="at most 65536"):
        issuer().revoke(range(1 << 62, (1 << 62) + 3000), 1, NOW)
    assert len(issuer().revoke(range(1 << 62, (1 << 62) + 2000), 1, NOW).der) <= MAX_REVOCATIONS


def _made(
    *, subject: str = "alice", extra: bool = False, ca: bool = False, curve: bool = False
) -> bytes:
    """A certificate as ours has it, but for one thing."""
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    holder = ec.generate_private_key(ec.SECP256R1()).public_key() if curve else key.public_key()
    date = datetime.fromtimestamp(NOW, UTC)
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, subject)]
    parts += [x509.NameAttribute(NameOID.COUNTRY_NAME, "XX")] if extra else []
    built = x509.CertificateBuilder().subject_name(x509.Name(parts)).issuer_name(x509.Name(parts))
    built = built.serial_number(1).not_valid_before(date).not_valid_after(date.replace(year=2033))
    built = built.public_key(holder)
    built = built.add_extension(x509.BasicConstraints(ca, 0 if ca else None), True)
    return built.sign(key, None).public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    "der",
    [
        b"",
        b"\x30\x00",
        bytes(MAX_CERTIFICATE + 1),
        _made(subject="Alice"),
        _made(subject="al"),
        _made(subject="al\nice"),
        _made(extra=True),
        _made(ca=True),
        _made(curve=True),
        ALICE.certificate.der + b"\0",
        authority().der,
    ],
)
def test_what_is_no_certificate_of_ours_is_refused(der: bytes) -> None:
    with pytest.raises(FormatError):
        Certificate.parse(der)


def test_a_certificate_signed_by_another_kind_of_key_is_refused() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    date, name = datetime.fromtimestamp(NOW, UTC), x509.Name([])
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1)
    built = built.not_valid_before(date).not_valid_after(date.replace(year=2033))
    der = built.public_key(key.public_key()).sign(key, SHA256()).public_bytes(Encoding.DER)
    for parse in (Certificate.parse, Authority.parse):
        with pytest.raises(FormatError):
            parse(der)


@settings(max_examples=150)
@given(st.binary(max_size=120), st.integers(0, 600), st.integers(0, 255))
def test_any_bytes_are_understood_or_a_format_error(junk: bytes, at: int, byte: int) -> None:
    crl = issuer().revoke([5], 3, NOW).der
    for true, parse in (
        (ALICE.certificate.der, Certificate.parse),
        (authority().der, Authority.parse),
        (authority().pem, Authority.parse),
        (ALICE.certificate.pem, Certificate.of_pem),
        (crl, lambda der: Revocations.parse(der, authority())),
        (RECORD.raw, Record.parse),
    ):
        near = bytearray(true)
        near[at % len(near)] = byte
        for data in (junk, bytes(near), bytes(near[: at % len(near)]), true + junk[:1]):
            try:
                parse(data)
            except FormatError:
                continue
            assert data != junk


@settings(max_examples=100)
@given(st.integers(0, 600), st.integers(1, 255))
def test_a_record_with_another_bit_is_not_believed(at: int, change: int) -> None:
    near = bytearray(RECORD.raw)
    near[at % len(near)] ^= change
    with pytest.raises(FormatError):
        Record.parse(bytes(near)).check(authority(), NOW)


def test_a_record_is_what_it_was_after_its_travel() -> None:
    again = Record.parse(RECORD.encode())
    assert again == RECORD
    assert (again.name, again.key, again.hash) == ("alice", ALICE.key.public, name_hash("alice"))
    assert (again.addresses, again.homes, again.ttl) == ((V4, V6), (V6,), MAX_TTL)
    again.check(authority(), NOW)


def test_the_longest_record_fits_a_datagram() -> None:
    longest = Person("x" * 32, serial=(1 << 63) - 1).record(
        (1 << 53) - 1, addresses=[V6] * 8, homes=[V6] * 4
    )
    assert len(longest.encode()) <= MAX_RECORD


def test_a_record_is_believed_only_with_its_certificate() -> None:
    with pytest.raises(FormatError, match="another login service"):
        RECORD.check(authority(1), NOW)
    with pytest.raises(FormatError, match="expired"):
        RECORD.check(authority(), NOW + 91 * DAY)
    with pytest.raises(FormatError, match="revoked"):
        RECORD.check(authority(), NOW, issuer().revoke([ALICE.certificate.serial], 1, NOW))


def test_nobody_signs_a_record_for_another() -> None:
    mallory = person("mallory")
    with pytest.raises(LocalProtocolError, match="not of this key"):
        Record.sign(mallory.key, ALICE.certificate, seq=1)
    signature = mallory.key.sign(b"p2pswarm record\n" + RECORD.text)
    with pytest.raises(FormatError, match="not signed by its key"):
        Record.parse(bencode.encode({b"body": BODY, b"sig": signature})).check(authority(), NOW)
    bare = ALICE.key.sign(RECORD.text)  # signed for another purpose
    with pytest.raises(FormatError, match="not signed by its key"):
        Record.parse(bencode.encode({b"body": BODY, b"sig": bare})).check(authority(), NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"ttl": 0},
        {"ttl": MAX_TTL + 1},
        {"ttl": b"1"},
        {"seq": 0},
        {"seq": 1 << 60},
        {"addrs": [b"x" * 6] * 9},
        {"addrs": [b"x" * 7]},
        {"addrs": [7]},
        {"addrs": b""},
        {"addrs": [bytes(4) + b"\1\1"]},
        {"addrs": [b"\xe0\0\0\1\1\1"]},
        {"addrs": [b"\1\1\1\1\0\0"]},
        {"addrs": [bytes(10) + b"\xff\xff\1\1\1\1\1\1"]},
        {"homes": [b"x" * 6] * 5},
        {"cert": b""},
        {"cert": 1},
        {"cert": None},
        {"more": b""},
    ],
)
def test_what_is_no_record_is_refused(change: dict[str, object]) -> None:
    body = BODY | {key.encode(): value for key, value in change.items()}
    body = {key: value for key, value in body.items() if value is not None}
    with pytest.raises(FormatError):
        Record.parse(bencode.encode({b"body": body, b"sig": RECORD.signature}))


@pytest.mark.parametrize(
    "raw",
    [
        b"d3:sig64:" + RECORD.signature + b"4:body" + RECORD.text + b"e",  # in another order
        b"",
        b"le",
        b"de",
        b"d4:bodyle3:sig64:" + bytes(64) + b"e",
        RECORD.raw + b"x",
        bytes(MAX_RECORD + 1),
    ],
)
def test_bytes_that_are_no_record_are_refused(raw: bytes) -> None:
    with pytest.raises(FormatError):
        Record.parse(raw)


@pytest.mark.parametrize(
    "change", [{"ttl": 0}, {"addresses": [V4] * 9}, {"homes": [Address("example.org", 1)]}]
)
def test_we_sign_nothing_that_nobody_would_read(change: dict[str, object]) -> None:
    with pytest.raises(LocalProtocolError):
        Record.sign(ALICE.key, ALICE.certificate, **{"seq": 1, **change})  # type: ignore[arg-type]
