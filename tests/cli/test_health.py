"""`health`: what works is told from what hangs, what died and what was never there."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from p2pswarm.cli import health as room
from p2pswarm.cli.health import STUCK_AFTER, Heartbeat, Pulse, beating, pulses, trouble
from p2pswarm.node import Node
from tests.cli.conftest import Command
from tests.support.numbers import number_for
from tests.support.processes import Program, program
from tests.support.quiet import quiet

WELL = Pulse("here", 7, "photos", "seeding")


@pytest.mark.parametrize("age", [0.0, -1.0, STUCK_AFTER])
def test_a_fresh_beat_is_well(age: float) -> None:
    assert trouble(WELL, age) == ""


@pytest.mark.parametrize("age", [STUCK_AFTER + 1, -STUCK_AFTER - 1])
def test_an_old_beat_is_stuck_and_so_is_one_from_the_future(age: float) -> None:
    told = f"the node with process id 7 is stuck: its last heartbeat is {abs(age):.0f} s away"
    assert trouble(WELL, age) == told


def test_a_failed_torrent_is_not_well_but_a_paused_one_is() -> None:
    failed = Pulse("here", 7, "photos", "failed", "no\nsense")
    assert trouble(failed, 0) == "the node with process id 7 failed: photos: no\\x0asense"
    assert trouble(Pulse("here", 7, "photos", "paused", "the disk is full"), 0) == ""


def test_each_process_has_its_file_and_takes_over_what_the_dead_left(tmp_path: Path) -> None:
    tmp_path /= "health"
    one, two = Heartbeat.start(tmp_path, WELL), Heartbeat.start(tmp_path, Pulse("there", 8))
    now = (tmp_path / "1").stat().st_mtime
    assert [pulse for pulse, _ in pulses(tmp_path, now)] == [WELL, Pulse("there", 8)]
    assert [round(age) for _, age in pulses(tmp_path, now + 60)] == [60, 60]
    one.close()
    assert [pulse for pulse, _ in pulses(tmp_path, now)] == [Pulse("there", 8)]
    three = Heartbeat.start(tmp_path, WELL)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["1", "2"]
    two.close()
    three.close()


def test_a_beat_needs_no_room_after_the_first(tmp_path: Path) -> None:
    heartbeat = Heartbeat.start(tmp_path / "health", WELL)
    sizes = set()
    for reason in ("", "x" * 400, "\U0001f600" * 400, "\udcff"):
        heartbeat.beat(Pulse("here", 7, "n", "paused", reason))
        sizes.add((tmp_path / "health/1").stat().st_size)
    heartbeat.close()
    assert sizes == {4096}


@pytest.fixture
def node_here(tmp_path: Path, command: Command) -> Iterator[tuple[Program, Path]]:
    """A seed that runs, and its data folder."""
    data = tmp_path / "x"
    data.write_bytes(os.urandom(100_000))
    assert command("create", data, "-o", tmp_path / "x.torrent").code == 0
    state = tmp_path / "state"
    options = ("--data", data, "--bind", "127.0.0.2", "--port", "0", "--json", "--data-dir", state)
    with program(tmp_path / "seed", "seed", tmp_path / "x.torrent", *options) as running:
        running.wait_for("status", state="seeding")
        yield running, state


def test_a_node_at_work_is_well_until_it_hangs_or_dies(
    node_here: tuple[Program, Path], command: Command
) -> None:
    running, state = node_here
    told = command("health", "--data-dir", state)
    assert (told.code, told.err) == (0, "")
    assert told.out in ("starting\n", "checking x\n", "seeding x\n")
    running.process.send_signal(signal.SIGSTOP)
    os.utime(state / "health/1", (1e9, 1e9))
    told = command("health", "--data-dir", state)
    assert (told.code, told.out) == (1, "")
    assert told.err.startswith(f"p2pswarm: the node with process id {running.process.pid} is stuck")
    running.stop(signal.SIGKILL)
    told = command("health", "--data-dir", state, "--tracker-port", number_for("127.0.0.1"))
    assert (told.code, told.out, told.err.count("\n")) == (1, "", 1)


def test_a_node_of_another_machine_is_not_ours_to_judge(tmp_path: Path, command: Command) -> None:
    heartbeat = Heartbeat.start(tmp_path / "health", Pulse("elsewhere", 7))
    os.utime(tmp_path / "health/1", (1e9, 1e9))
    port = number_for("127.0.0.1")
    told = command("health", "--data-dir", tmp_path, "--tracker-port", port)
    heartbeat.close()
    assert told.err.startswith(f"p2pswarm: the tracker on port {port} does not answer")


def test_nothing_at_work_is_not_well(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_TRACKER_PORT", number_for("127.0.0.1"))
    told = command("health", "--data-dir", tmp_path)
    assert (told.code, told.err.count("\n")) == (1, 1)
    assert told.err.endswith(f"no node at work in {tmp_path / 'health'}\n")


def test_a_tracker_is_asked(tmp_path: Path, command: Command) -> None:
    with program(tmp_path / "tracker", "--port", "0", module="tracker") as running:
        port = running.wait_for_line().removesuffix("/announce").rpartition(":")[2]
        told = command("health", "--data-dir", tmp_path, "--tracker-port", port)
    assert (told.code, told.out, told.err) == (0, f"tracking on port {port}\n", "")


def test_a_tracker_that_hangs_is_stuck(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_TRACKER_PATIENCE", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        told = command("health", "--data-dir", tmp_path, "--tracker-port", port)
    assert told.code == 1
    assert told.err.startswith(f"p2pswarm: the tracker on port {port} is stuck")


class _Notes:
    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str, *, again: bool = False) -> None:
        self.texts.append(text)


async def test_where_no_heartbeat_can_be_written_the_node_works_all_the_same(
    tmp_path: Path,
) -> None:
    (tmp_path / "health").write_text("in the way")
    notes: Any = _Notes()
    settings = quiet(data_dir=tmp_path, bind="127.0.0.1", port=0)
    async with Node(settings) as node, beating(node, notes):
        assert node.port
    assert [text.partition(":")[0] for text in notes.texts] == [
        "p2pswarm health will not see this node"
    ]


def test_a_node_without_a_torrent_is_starting() -> None:
    node: Any = SimpleNamespace(status=lambda: SimpleNamespace(torrents=()))
    assert room._pulse_of(node).state == "starting"
