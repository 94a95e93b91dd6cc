"""The program: its options in this process, its life and death in one of its own."""

import errno
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from click.testing import CliRunner, Result

from tests.support.patience import PATIENCE
from tracker import __main__ as program
from tracker.config import TrackerSettings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    """Parse a command line; instead of serving, print the settings."""

    async def show(settings: TrackerSettings) -> None:
        program.click.echo(repr(settings))

    monkeypatch.setattr(program, "_run", show)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(resource, "setrlimit", lambda which, limit: None)
    return lambda *words, **env: CliRunner().invoke(program.app, words, env=env)


def test_the_defaults_are_those_of_the_settings(run: Callable[..., Result]) -> None:
    assert run().output.strip() == repr(TrackerSettings())


def test_flag_before_variable_before_file(run: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "p2pswarm").mkdir()
    file = tmp_path / "p2pswarm" / "tracker.toml"
    file.write_text('host = "127.0.0.9"\nport = 1000\ninterval = 10\nallow_ip = true\n')
    result = run("--port", "3000", P2PSWARM_TRACKER_PORT="2000", P2PSWARM_TRACKER_INTERVAL="20")
    expected = TrackerSettings(host="127.0.0.9", port=3000, interval=20, allow_ip=True)
    assert result.output.strip() == repr(expected)


def test_every_setting_is_a_flag(run: Callable[..., Result], tmp_path: Path) -> None:
    given = {
        "host": "::1",
        "port": "1",
        "interval": "5",
        "torrents": str(tmp_path),
        "trusted-proxy": "10.0.0.0/8,::1/128",
        "max-swarms": "2",
        "max-peers": "3",
        "max-per-address": "4",
        "patience": "1.5",
    }
    result = run(
        "--allow-ip", *(word for flag, value in given.items() for word in (f"--{flag}", value))
    )
    assert result.output.strip() == repr(
        TrackerSettings("::1", 1, 5, tmp_path, True, "10.0.0.0/8,::1/128", 2, 3, 4, 1.5)
    )


def test_every_setting_of_the_index_server_is_a_flag(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    files = {f"napster_{name}": tmp_path / name for name in ("accounts", "deny", "audit", "motd")}
    counts = {
        "napster_max_clients": 2,
        "napster_max_per_address": 3,
        "napster_max_shares": 4,
        "napster_max_files": 5,
    }
    rates = {"napster_query_rate": 1.5, "napster_idle": 60.0}
    values = {"napster": 8888, "napster_index": "sqlite:x"} | files | counts | rates
    words = [f"--{name.replace('_', '-')}={value}" for name, value in values.items()]
    settings = TrackerSettings(**values)  # type: ignore[arg-type]
    assert run(*words).output.strip() == repr(settings)
    assert settings.napster_file == Path("x")


@pytest.mark.parametrize(
    "words",
    [
        ("--napster", "65536"),
        ("--napster-index", "sqlite:"),
        ("--napster-index", "redis"),
        ("--napster-max-shares", "0"),
        ("--napster-query-rate", "0"),
        ("--napster-idle", "inf"),
        ("--port", "65536"),
        ("--port", "x"),
        ("--interval", "0"),
        ("--interval", "86401"),
        ("--patience", "0"),
        ("--max-swarms", "0"),
        ("--torrents", "/does/not/exist"),
        ("--trusted-proxy", "everybody"),
        ("--config", "/does/not/exist.toml"),
        ("--nonsense",),
    ],
)
def test_what_cannot_be_is_a_usage_error(
    run: Callable[..., Result], words: tuple[str, ...]
) -> None:
    assert run(*words).exit_code == 2


@pytest.mark.parametrize("text", ["port = ", "prot = 5", "[tracker]\nport = 5", "\xff"])
def test_a_bad_file_is_a_usage_error(run: Callable[..., Result], tmp_path: Path, text: str) -> None:
    file = tmp_path / "x.toml"
    file.write_bytes(text.encode("latin-1"))
    assert run("--config", str(file)).exit_code == 2


def test_half_of_a_file_that_is_too_long_is_not_taken_for_all(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    file = tmp_path / "long.toml"
    file.write_text("interval = 900\n" + "#" * (1 << 20) + "\nnothing of the kind")
    assert run("--config", str(file)).exit_code == 2


def test_a_home_that_is_no_folder_has_no_file(run: Callable[..., Result]) -> None:
    """As users have it under whom services run."""
    assert run(XDG_CONFIG_HOME=os.devnull).output.strip() == repr(TrackerSettings())


def test_what_nobody_can_be_told_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(program, "app", full)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == "p2pswarm-tracker: No space left on device\n"


def test_help_has_an_example(run: Callable[..., Result]) -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert "Example: p2pswarm-tracker" in result.output


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    programs: list[subprocess.Popen[str]] = []
    env = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(tmp_path)}

    def start(*words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tracker", "--host", "127.0.0.1", *words]
        pipe = subprocess.PIPE
        programs.append(subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=env))
        return programs[-1]

    yield start
    for each in programs:
        each.kill()
        each.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_is_and_stops_when_told(
    started: Callable[..., subprocess.Popen[str]], number: signal.Signals
) -> None:
    tracker = started("--port", "0")
    assert tracker.stdout is not None
    url = tracker.stdout.readline().strip()
    assert url.startswith("http://127.0.0.1:")
    assert tracker.stdout.readline().strip() == url.replace("http", "udp")
    with urlopen(url.replace("/announce", "/health")) as answer:
        assert answer.read() == b"ok\n"
    tracker.send_signal(number)
    out, err = tracker.communicate(timeout=PATIENCE)
    assert (tracker.returncode, out, err) == (0, "", "")


def test_with_napster_it_says_where_and_reads_the_deny_list_again_when_told(
    started: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    deny = tmp_path / "deny"
    deny.write_text("one")
    tracker = started("--port", "0", "--no-udp", "--napster", "0", "--napster-deny", str(deny))
    assert tracker.stdout is not None
    assert tracker.stderr is not None
    url = tracker.stdout.readline().strip().replace("/announce", "/stats")
    assert tracker.stdout.readline().startswith("napster://127.0.0.1:")
    with urlopen(url) as answer:
        assert json.load(answer)["napster_rules"] == 1
    deny.write_text("one\ntwo")
    tracker.send_signal(signal.SIGHUP)
    assert "the 2 rules" in tracker.stderr.readline()
    with urlopen(url) as answer:
        assert json.load(answer)["napster_rules"] == 2
    tracker.send_signal(signal.SIGTERM)
    out, err = tracker.communicate(timeout=PATIENCE)
    assert (tracker.returncode, out, err) == (0, "", "")


def test_a_taken_port_is_one_clear_line(started: Callable[..., subprocess.Popen[str]]) -> None:
    first = started("--port", "0")
    assert first.stdout is not None
    port = first.stdout.readline().strip().removesuffix("/announce").rpartition(":")[2]
    second = started("--port", port)
    out, err = second.communicate(timeout=PATIENCE)
    assert (second.returncode, out) == (1, "")
    assert err == f"p2pswarm-tracker: port {port} on 127.0.0.1 is taken\n"


def test_the_limit_of_open_files_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda which, limit: asked.append(limit))
    unlimited = resource.RLIM_INFINITY
    for limits in [
        (1024, 4096),
        (1024, unlimited),
        (1024, 1 << 20),
        (4096, 4096),
        (unlimited, unlimited),
    ]:
        monkeypatch.setattr(resource, "getrlimit", lambda which, limits=limits: limits)
        program._allow_many_connections()
    assert asked == [(4096, 4096), (65536, unlimited), (65536, 1 << 20)]
