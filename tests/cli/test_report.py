"""The voice of a command: it never makes the node wait, and loses no result."""

import json
import logging
import os
import threading
from collections.abc import Iterator

import pytest

from p2pswarm.cli.exits import CommandError, Exit
from p2pswarm.cli.options import Progress
from p2pswarm.cli.report import Report
from p2pswarm.cli.views import Sample

SAMPLE = Sample("x", "downloading", 1, 2)


@pytest.fixture
def full_pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """stderr is a pipe that nobody reads; the other end."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr("sys.stderr", stream)
        yield reading
    os.close(reading)


def test_a_reader_that_sleeps_costs_progress_only(
    full_pipe: int, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = 12_000
    with Report(Progress()) as report:
        for _ in range(lines):  # more than the pipe and the queue hold, and it returns
            report.status(SAMPLE)
        waiting = threading.Thread(target=_drain, args=(full_pipe,), daemon=True)
        report.result("the result")
        waiting.start()
    assert capfd.readouterr().out == "the result\n"


def _drain(descriptor: int) -> None:
    try:
        while os.read(descriptor, 1 << 16):
            pass
    except OSError:
        return


def test_a_result_stays_out_of_the_pipe_of_somebody_else(capfd: pytest.CaptureFixture[str]) -> None:
    with Report(Progress(), piped=True) as report:
        report.result("alice: good morning", name="alice")
    out, err = capfd.readouterr()
    assert out == ""
    assert "alice: good morning" in err


def test_a_reader_that_went_away_is_told_to_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr("sys.stdout", stream)
        with pytest.raises(BrokenPipeError), Report(Progress(json=True)) as report:
            report.note("x")


def test_events_come_in_their_order_and_all_of_them(capfd: pytest.CaptureFixture[str]) -> None:
    with Report(Progress(json=True)) as report:
        for n in range(2_000):
            report.event("piece_done", index=n)
        report.result("", path="x")
        report.event("completed")
    told = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [event.get("index") for event in told[:-2]] == [*range(2_000)]
    assert [event["event"] for event in told[-2:]] == ["result", "completed"]


def test_what_happens_is_told_while_the_work_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream, os.fdopen(reading) as heard:
        monkeypatch.setattr("sys.stdout", stream)
        with Report(Progress(json=True)) as report:
            for n in range(3):
                report.event("piece_done", index=n)
                assert json.loads(heard.readline())["index"] == n


def test_a_closed_stderr_does_not_stop_the_work(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr("sys.stderr", stream)
        with Report(Progress()) as report:
            report.status(SAMPLE)
            report.result("the result")
    assert capfd.readouterr().out == "the result\n"


def test_an_error_is_an_event_too(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CommandError), Report(Progress(json=True)):
        raise CommandError("no peers", Exit.NO_PEERS)
    event = json.loads(capfd.readouterr().out)
    assert (event["event"], event["text"], event["exit"]) == ("error", "no peers", 4)


def test_warnings_of_the_node_are_notes(capfd: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("p2pswarm.swarm.torrent")
    with Report(Progress()):
        for _ in range(3):
            log.warning("%s: checking all", "a\x1bb")
        log.info("not this")
    log.warning("nor this, the command is over")
    assert capfd.readouterr().err == "p2pswarm: a\\x1bb: checking all\n"


def test_a_note_is_seen_once_but_a_question_each_time(capfd: pytest.CaptureFixture[str]) -> None:
    with Report(Progress()) as report:
        for again in (False, False, True, True):
            report.note("bob calls", again=again)
    assert capfd.readouterr().err == 3 * "p2pswarm: bob calls\n"


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w") as stream:
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr("sys.stderr", stream)
        with Report(Progress()) as report:
            report.status(SAMPLE)
            assert report.every < 1
        report.abandon()
        drawn = ""
        while not drawn.endswith("\x1b[?25h\r\n"):  # the cursor is back; else the time-out tells
            drawn += os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert "▕" in drawn


@pytest.mark.parametrize("terminal", ["dumb", "xterm"])
def test_a_dumb_terminal_and_a_file_get_lines(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], terminal: str
) -> None:
    monkeypatch.setenv("TERM", terminal)
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal == "dumb")
    with Report(Progress()) as report:
        report.status(SAMPLE)
    assert capfd.readouterr().err.splitlines()[1].split("\t")[1] == "downloading"
