"""`p2pswarm whois`, with a login service, a super node and somebody who is at home there, each a process."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from p2pswarm.cli.exits import Exit
from tests.cli.conftest import Command
from tests.support.foreign import until
from tests.support.processes import Program, program

PORT = 26347
NETWORK = f"127.{20 + os.getpid() % 200}.250"


def where(number: int) -> list[object]:
    return ["--bind", f"{NETWORK}.{number}", "--port", PORT]


def _listens(bob: Program) -> bool:
    """On a slow machine its super node may not serve yet; then it ends."""
    try:
        bob.wait_for("listening")
    except AssertionError:
        return False
    return True


@pytest.fixture
def town(tmp_path: Path) -> Iterator[list[object]]:
    """What one says to find somebody there."""
    with ExitStack() as stack:

        def start(name: str, *words: object, module: str = "p2pswarm") -> Program:
            return stack.enter_context(program(tmp_path / name, *words, module=module))

        words = ["--host", "127.0.0.1", "--port", 0, "--no-udp", "--login", tmp_path / "names"]
        login = start("tracker", *words, module="tracker").wait_for_line(2)
        shared = tmp_path / "shared"
        shared.mkdir()
        (shared / "file").write_text("something")
        serving = ["--on", "supernode", "--supernode-role", "super", "--tracker-port", 0]
        start("super", "share", shared, *serving, "--login", login, "--json", *where(1))
        named = ["--connect", f"{NETWORK}.1:{PORT}"]
        state = ["--data-dir", tmp_path / "bob" / "state"]
        assert start("bob", "register", "bob", "--login", login, *state).wait() == Exit.OK
        quiet = ["--no-audio", "--supernode-role", "ordinary", "--json"]
        until(lambda: _listens(start("bob", "answer", *quiet, *named, *state, *where(2))), "bob")
        yield [*named, "--login", login, *where(3)]


def test_somebody_is_looked_up_by_name(
    command: Command, town: list[object], tmp_path: Path
) -> None:
    until(lambda: command("whois", "bob", *town).code == Exit.OK, "he is in the directory")
    ran = command("whois", "Bob", *town)
    assert ran.code == Exit.OK, ran.err
    name, key, ends, home = ran.out.rstrip("\n").split("\t")
    assert (name, len(key), ends[:2], home) == ("bob", 64, "20", f"{NETWORK}.1:{PORT}")
    assert "1 hop, 2 messages" in ran.err
    ran = command("whois", "bob", "--lookup", "recursive", "--json", *town)
    (told,) = [each for each in map(json.loads, ran.out.splitlines()) if each["event"] == "result"]
    assert (told["name"], told["key"], told["homes"]) == ("bob", key, [home])
    # A super node that has just begun knows only after a while that it knows everybody.
    nobody = "p2pswarm: nobody is called carol, or not in the last three days\n"
    until(lambda: command("whois", "carol", *town).err.endswith(nobody), "that nobody is carol")
    nobody_there = ["--connect", f"{NETWORK}.9:{PORT}", *town[2:]]
    assert command("whois", "bob", *nobody_there).code == Exit.OK  # it is known from before
    ran = command("whois", "bob", *nobody_there, "--data-dir", tmp_path / "new")
    assert (ran.code, ran.out) == (Exit.NETWORK, "")
    assert f"cannot reach {NETWORK}.9:{PORT}" in ran.err
