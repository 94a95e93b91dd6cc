"""Users who call each other by name, across real containers, with a login service and super nodes."""

from pathlib import Path

import pytest

from tests.containers.conftest import Swarms
from tests.containers.swarm import Container, docker
from tests.support.foreign import until
from tests.support.sound import likeness, read_wav, speech, write_wav

pytestmark = [pytest.mark.containers, pytest.mark.timeout(240)]

SERVICES = ("login", "home1", "home2", "home3", "bob")
VOICE = speech(3)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    folder = tmp_path / "recorded"
    folder.mkdir()
    write_wav(folder / "call.wav", VOICE)
    return folder


def heard_by(one: Container, tmp_path: Path) -> Path:
    """What was said to it."""
    docker("cp", f"{one.name}:/config/heard.wav", tmp_path / "heard.wav")
    return tmp_path / "heard.wav"


def test_a_voice_is_heard_by_who_was_called(swarms: Swarms, recorded: Path, tmp_path: Path) -> None:
    swarm = swarms(share=recorded, CALL="bob")
    swarm.up(*SERVICES)
    swarm.up("caller", alone=True)
    callee = swarm.one("bob")
    until(lambda: bool(callee.told("call")), "the call is over", 90)
    assert swarm.one("caller").told("path")[-1]["direct"]
    assert likeness(VOICE, read_wav(heard_by(callee, tmp_path)))[0] > 0.9
