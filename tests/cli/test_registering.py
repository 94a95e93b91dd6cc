"""`p2pswarm id` and `register`, with a tracker that runs a login service in a process of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from p2pswarm.identity import Identity
from tests.cli.conftest import Command
from tests.support.patience import PATIENCE
from tests.support.people import DAY, NOW, authority, issuer


@pytest.fixture(scope="module")
def login(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL that it prints."""
    folder = tmp_path_factory.mktemp("login")
    words = ["--host", "127.0.0.1", "--port", "0", "--no-udp", "--login", str(folder / "names")]
    process = subprocess.Popen(
        [sys.executable, "-m", "tracker", *words],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "XDG_CONFIG_HOME": str(folder)},
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.stdout.readline().strip()
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


def test_who_is_nobody_is_told_how_to_be_somebody(command: Command, tmp_path: Path) -> None:
    ran = command("id", "--data-dir", tmp_path / "new")
    key = Identity.load(tmp_path / "new" / "identity").key.public.hex()
    assert (ran.code, ran.out) == (0, f"key\t{key}\n")
    assert ran.err == "p2pswarm: no name yet: p2pswarm register NAME --login URL\n"


def test_a_name_is_registered_shown_and_renewed(
    command: Command, login: str, tmp_path: Path
) -> None:
    ran = command("register", "Alice.Smith", "--login", login)
    assert (ran.code, ran.out) == (0, "alice.smith\n"), ran.err
    fingerprint = login.partition("#")[2]
    assert len(fingerprint) == 64
    assert f"its authority is {fingerprint}" in ran.err
    facts = json.loads(command("id", "--json").out)
    assert (facts["name"], facts["login"]) == ("alice.smith", login.partition("#")[0])
    assert facts["authority"] == fingerprint
    ran = command("register", "alice.smith", "--json")  # the service is known
    [told] = [line for line in map(json.loads, ran.out.splitlines()) if line["event"] == "result"]
    assert (told["name"], told["key"]) == ("alice.smith", facts["key"])
    ran = command("register", "bob")
    assert (ran.code, ran.err) == (
        1,
        "p2pswarm: your name is alice.smith: one key has one name\n",
    )
    other = command("register", "alice.smith", "--login", login, "--data-dir", tmp_path / "other")
    assert other.code == 1
    assert "the name is taken" in other.err


def test_a_lost_device_is_taken_back(
    command: Command, login: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "password").write_text("correct horse battery\n")
    by_file = ("--password-file", tmp_path / "password")
    assert command("register", "carol", "--login", login, *by_file).code == 0
    there = ("--data-dir", tmp_path / "phone")
    monkeypatch.setenv("P2PSWARM_PASSWORD", "correct horse battery")
    assert command("register", "carol", "--login", login, *there).code == 0
    ran = command("register", "carol", "--revoke", *there)
    assert (ran.code, ran.err) == (0, "p2pswarm: 1 certificate of carol taken back\n")
    monkeypatch.delenv("P2PSWARM_PASSWORD")
    assert command("register", "carol", *there).code == 0
    ran = command("register", "carol")  # the lost one
    assert ran.code == 1
    assert "your certificate was taken back" in command("id").err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("al",), "is not a name: 3 to 32 of"),
        (("alice",), "no login service is known: --login URL says where"),
        (("alice", "--login", "nowhere"), "nowhere: not an http or https URL"),
        (("alice", "--password", "secret"), "No such option"),
    ],
)
def test_what_cannot_be_done_is_said(command: Command, words: tuple[str, ...], said: str) -> None:
    ran = command("register", *words)
    assert ran.code in (2, 6)
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1


def test_a_login_service_whose_url_is_none_is_wrong_usage(command: Command) -> None:
    ran = command("register", "alice", "--login", "login.example.org")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "p2pswarm: --login: login.example.org: not an http or https URL with a host\n"


def test_nobody_leaves_messages_to_oneself(command: Command, tmp_path: Path) -> None:
    identity = Identity.load(tmp_path / "me" / "identity")
    identity.trust(authority(), "http://192.0.2.1")
    identity.certify(issuer().issue("alice", identity.key.public, 7, NOW, NOW + DAY), NOW)
    ran = command("message", "Alice", "hello", "--data-dir", tmp_path / "me")
    assert (ran.code, ran.out, ran.err) == (1, "", "p2pswarm: alice is you\n")
    assert not (tmp_path / "me" / "people").exists()


def test_a_short_password_is_not_sent(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("P2PSWARM_PASSWORD", "short")
    ran = command("register", "alice", "--login", "http://127.0.0.1:1")
    assert (ran.code, ran.err) == (2, "p2pswarm: a password has 8 to 256 characters\n")


def test_a_certificate_that_ends_is_told(command: Command, tmp_path: Path) -> None:
    identity = Identity.load(tmp_path / "old" / "identity")
    identity.trust(authority(), "http://192.0.2.1")
    begins = NOW - 10_000 * DAY
    held = issuer().issue("alice", identity.key.public, 7, begins, begins + DAY)
    identity.certify(held, begins)
    ran = command("id", "--data-dir", tmp_path / "old")
    assert ran.err == "p2pswarm: your certificate has expired: p2pswarm register alice\n"
