"""Claims and answers of a login service: what is said is read again, and nothing else is."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.wire.login import (
    MAX_BODY,
    Claim,
    Deed,
    Granted,
    Refusal,
    Revoked,
    Why,
    read_challenge,
    write_challenge,
)
from tests.support.people import authority, person

DOCUMENT = Path(__file__).parents[2] / "docs" / "protocols" / "login.md"
ALICE = person("alice")
CLAIM = Claim.sign(
    Deed.REGISTER, "alice", ALICE.key, bytes(range(32)), authority(), "pass \u00fc word"
)
READERS: list[Callable[[bytes], object]] = [
    lambda body: Claim.read(Deed.REVOKE, body),
    Granted.read,
    Revoked.read,
    Refusal.read,
    read_challenge,
]


def test_what_is_said_is_read_again() -> None:
    assert Claim.read(Deed.REGISTER, CLAIM.encode()) == CLAIM
    assert CLAIM.is_proven(authority())
    assert not CLAIM.is_proven(authority(1))
    for value in (Granted(bytes(range(256))), Revoked(7), Refusal(Why.TAKEN, "the name is taken")):
        assert type(value).read(value.encode()) == value
    assert read_challenge(write_challenge(bytes(range(32)))) == bytes(range(32))


def test_the_example_of_the_document_is_what_we_say() -> None:
    text = DOCUMENT.read_text()
    [example] = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    claim = Claim.sign(Deed.REGISTER, "alice", ALICE.key, bytes(range(32)), authority())
    assert json.loads(example) == json.loads(claim.encode())
    assert authority().fingerprint in text


def test_secrets_are_not_shown() -> None:
    assert "pass" not in repr(CLAIM)


@settings(max_examples=60)
@given(st.binary(max_size=60), st.integers(0, 500), st.integers(0, 255))
def test_any_bytes_are_understood_or_an_error(junk: bytes, at: int, byte: int) -> None:
    for true in (CLAIM.encode(), Granted(b"x" * 40).encode(), Refusal(Why.BAD, "bad").encode()):
        near = bytearray(true)
        near[at % len(near)] = byte
        for body in (junk, bytes(near), bytes(near[: at % len(near)])):
            for read in READERS:
                try:
                    read(body)
                except RemoteProtocolError:
                    continue


@pytest.mark.parametrize(
    "body",
    [
        b"x" * (MAX_BODY + 1),
        b"[" * MAX_BODY,
        b'{"revoked": true}',
        b'{"revoked": -1}',
        b'{"revoked": 1e3}',
        b'{"certificate": "\xc3\xbc"}',
        b'{"certificate": "a"}',
        b'{"error": "new", "text": ""}',
        b'{"challenge": "' + b"G" * 64 + b'"}',
        b'{"challenge": "' + b"0" * 62 + b'"}',
        b'{"challenge": 7}',
    ],
)
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    for read in READERS:
        with pytest.raises(RemoteProtocolError):
            read(body)


def test_nothing_is_claimed_that_no_service_would_read() -> None:
    for name, password in (("Alice", ""), ("alice", "short"), ("alice", "\ud800 surrogate")):
        with pytest.raises(LocalProtocolError):
            Claim.sign(Deed.REVOKE, name, ALICE.key, bytes(32), authority(), password)
