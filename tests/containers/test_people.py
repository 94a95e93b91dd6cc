"""Users who call each other by name, across real containers, with a login service and super nodes."""

import json
import re
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.containers.conftest import Swarms
from tests.containers.swarm import Container, Swarm, docker
from tests.support.foreign import until
from tests.support.sound import likeness, read_wav, speech, write_wav

pytestmark = pytest.mark.containers

SERVICES = ("login", "home1", "home2", "home3", "alice", "bob")
PROFILE = ("--profile", "people")
VOICE = speech(3)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    folder = tmp_path / "recorded"
    folder.mkdir()
    write_wav(folder / "call.wav", VOICE)
    return folder


def heard_by(one: Container, tmp_path: Path) -> Path:
    """What was said to it, which has its place when it answers again."""
    heard = tmp_path / "heard.wav"
    until(lambda: _copied(one, heard), "the voice is kept")
    return heard


def _copied(one: Container, heard: Path) -> bool:
    with suppress(AssertionError):  # docker says that there is no such file
        docker("cp", f"{one.name}:/config/heard.wav", heard)
    return heard.exists()


def typed(swarm: Swarm, *words: str) -> str:
    """By the one who calls, after the call."""
    return swarm.compose(*PROFILE, "run", "-T", "--rm", "--no-deps", "caller", "p2pswarm", *words)


def told(output: str, event: str) -> dict[str, Any]:
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return next(line for line in lines if line["event"] == event)


def test_a_voice_is_heard_and_what_is_given_arrives(
    swarms: Swarms, recorded: Path, tmp_path: Path
) -> None:
    swarm = swarms(share=recorded)
    swarm.up(*SERVICES)
    swarm.up("caller", alone=True)
    callee = swarm.one("alice")
    until(lambda: bool(callee.told("call")), "the call is over")
    assert swarm.one("caller").told("path")[-1]["direct"]
    assert likeness(VOICE, read_wav(heard_by(callee, tmp_path)))[0] > 0.9
    a_file_and_a_message_arrive(swarm)
    a_short_code_fetches(swarm)


def a_file_and_a_message_arrive(swarm: Swarm) -> None:
    bob, wanted = swarm.one("bob"), sha256((swarm.share / "call.wav").read_bytes()).hexdigest()
    typed(swarm, "send", "bob", "/share/call.wav")
    assert bob.run("sha256sum", "/config/received/call.wav").split()[0] == wanted
    assert told(typed(swarm, "message", "bob", "good morning"), "delivered")["messages"] == 1
    until(lambda: "good morning" in str(bob.told("result")), "bob has read it")


def a_short_code_fetches(swarm: Swarm) -> None:
    """From bob, whose tracker is where both meet."""
    bob = swarm.one("bob")
    share = "exec p2pswarm share received/call.wav --data-dir /tmp/shared >/tmp/said"
    docker("exec", "--detach", bob.name, "sh", "-c", share)
    said = "cat /tmp/said 2>/dev/null || true"
    code = re.compile(r"\d+-[a-z]+-[a-z]+@[0-9.]+:\d+")
    until(lambda: bool(code.search(bob.run("sh", "-c", said))), "there is a code")
    (found,) = set(code.findall(bob.run("sh", "-c", said)))
    got = told(typed(swarm, "get", found, "--output", "/tmp/got"), "result")
    assert Path(got["path"]).name == "call.wav"
