"""The main job with real processes: what travels arrives, whatever is stopped or killed on the way."""

import filecmp
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from p2pswarm.cli.exits import Exit
from p2pswarm.formats.magnet import Magnet
from p2pswarm.formats.metainfo import Metainfo
from tests.cli.conftest import Command
from tests.support.numbers import number_for
from tests.support.patience import PATIENCE, stopwatch
from tests.support.processes import ROOT, Program, program

MIB = 1 << 20
STOPPING = 3.0 * 2  # seconds; what is promised after Ctrl-C, on a machine that is busy with others


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "source" / "data"
    (folder / "sub").mkdir(parents=True)
    (folder / "big").write_bytes(os.urandom(8 * MIB + 12345))
    (folder / "sub/small").write_bytes(b"small")
    (folder / "sub/empty").touch()
    return folder


@pytest.fixture
def torrent(data: Path, tmp_path: Path, command: Command) -> Path:
    path = tmp_path / "data.torrent"
    assert command("create", data, "-o", path, "--piece-length", "64KiB").code == 0
    return path


@pytest.fixture
def seed(torrent: Path, data: Path, tmp_path: Path) -> Iterator[str]:
    """HOST:PORT of a seed that runs."""
    options = ("--data", data, "--bind", "127.0.0.2", "--port", "0", "--json")
    with program(tmp_path / "seed", "seed", torrent, *options) as running:
        yield f"127.0.0.2:{running.wait_for('listening')['port']}"


@contextmanager
def getting(tmp_path: Path, source: object, *more: object) -> Iterator[Program]:
    options = ("--output", tmp_path / "copy", "--bind", "127.0.0.3", "--port", "0", "--json")
    with program(tmp_path / "get", "get", source, *options, *more) as running:
        yield running


def same(one: Path, other: Path) -> bool:
    files = [path.relative_to(one) for path in one.rglob("*") if path.is_file()]
    there = [path.relative_to(other) for path in other.rglob("*") if path.is_file()]
    return sorted(files) == sorted(there) and not any(
        filecmp.cmpfiles(one, other, [str(path) for path in files], shallow=False)[1:]
    )


def stopped_in_time(running: Program, number: int = signal.SIGINT) -> int:
    with stopwatch() as watch:
        code = running.stop(number)
    assert watch.seconds < STOPPING
    return code


@contextmanager
def tracker(tmp_path: Path) -> Iterator[str]:
    options = ("--host", "127.0.0.1", "--port", "0", "--interval", "1")
    with program(tmp_path / "tracker", *options, module="tracker") as running:
        yield running.wait_for_line()


def test_trackers_are_asked_for_the_size_of_a_swarm(
    data: Path, tmp_path: Path, command: Command
) -> None:
    torrent = tmp_path / "data.torrent"
    with ExitStack() as stack:
        url = stack.enter_context(tracker(tmp_path))
        by_udp = url.replace("http", "udp", 1)
        trackers = (
            "--tracker",
            url,
            "--tracker",
            by_udp,
            "--tracker",
            "http://127.0.0.1:1/announce",
        )
        assert command("create", data, "-o", torrent, *trackers).code == 0
        options = ("--bind", "127.0.0.2", "--port", "0", "--json")
        seeding = stack.enter_context(
            program(tmp_path / "seed", "seed", torrent, "--data", data, *options)
        )
        seeding.wait_for("tracker_replied")
        asked = command("info", torrent, "--scrape", "--json")
        assert asked.code == 0
        one, other, none = json.loads(asked.out)["swarm"]
        assert one == {"url": url, "seeds": 1, "others": 0, "downloads": 0}
        assert other == {**one, "url": by_udp}
        assert none.keys() == {"url", "error"}
        shown = command("info", torrent, "--scrape").out
        assert f"{by_udp}: seeds 1, others 0, downloads 0" in shown
    assert command("create", data, "-o", torrent, "--force", "--tracker", url).code == 0
    assert command("info", torrent, "--scrape").code == Exit.NETWORK
    assert command("create", data, "-o", torrent, "--force").code == 0
    nobody = command("info", torrent, "--scrape")
    assert (nobody.code, nobody.out) == (Exit.NETWORK, "")
    assert nobody.err == f"p2pswarm: {torrent} has no tracker that could be asked\n"


def test_through_a_tracker(data: Path, tmp_path: Path, command: Command) -> None:
    torrent = tmp_path / "data.torrent"
    with ExitStack() as stack:
        url = stack.enter_context(tracker(tmp_path))
        assert command("create", data, "-o", torrent, "--tracker", url).code == 0
        options = ("--bind", "127.0.0.2", "--port", "0", "--json")
        seeding = stack.enter_context(
            program(tmp_path / "seed", "seed", torrent, "--data", data, *options)
        )
        seeding.wait_for("tracker_replied")
        get = stack.enter_context(getting(tmp_path, torrent))
        assert get.wait_for("result")["path"] == str(tmp_path / "copy/data")
        assert get.wait() == 0
        assert stopped_in_time(seeding) == 0
    assert same(data, tmp_path / "copy/data")


def pieces_of(running: Program) -> set[int]:
    return {event["piece"] for event in running.events if event["event"] == "piece_done"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopped_and_on_again(
    torrent: Path, seed: str, data: Path, tmp_path: Path, number: int
) -> None:
    """What was told as done is not fetched again, and the rest is."""
    with getting(tmp_path, torrent, "--peer", seed, "--down-limit", "2MiB") as first:
        first.wait_for("piece_done")
        if number == signal.SIGKILL:
            assert first.stop(number) == -number
        else:
            assert stopped_in_time(first, number) == 130
    with getting(tmp_path, torrent, "--peer", seed) as second:
        assert second.wait() == 0
    assert pieces_of(first)
    assert pieces_of(second)
    assert pieces_of(first).isdisjoint(pieces_of(second))
    assert same(data, tmp_path / "copy/data")


def test_share_prints_the_line_that_the_other_side_types(data: Path, tmp_path: Path) -> None:
    place = data.rename(data.with_name("it's here"))
    options = ("--host", "127.0.0.1", "--bind", "127.0.0.1", "--port", "0", "--tracker-port", "0")
    with program(tmp_path / "share", "share", place, *options) as sharing:
        line = shlex.split(sharing.wait_for_line())
        assert line[:2] == ["p2pswarm", "get"]
        with urlopen(line[2]) as answer:
            ((by_http,), (by_udp,)) = Metainfo.from_bytes(answer.read()).trackers
        assert by_udp == by_http.replace("http://127.0.0.1:", "udp://127.0.0.1:")
        link = Magnet.parse(sharing.wait_for_line(2))
        assert [peer.host for peer in link.peers] == ["127.0.0.1"]
        assert link.trackers
        with getting(tmp_path, line[2], "--bind", "127.0.0.1") as get:
            assert get.wait() == 0
        assert stopped_in_time(sharing, signal.SIGTERM) == 0
        assert "on the other machine, type:" in sharing.stderr
    assert same(place, tmp_path / "copy/it's here")


def test_a_hybrid_is_shared_under_both_of_its_names(data: Path, tmp_path: Path) -> None:
    options = ("--host", "127.0.0.1", "--bind", "127.0.0.1", "--port", "0", "--tracker-port", "0")
    made = ("--hybrid", "--exclude", "empty", "--piece-length", "64KiB", "--json")
    with ExitStack() as stack:
        sharing = stack.enter_context(program(tmp_path / "share", "share", data, *options, *made))
        told = sharing.wait_for("result")
        with urlopen(told["url"]) as answer:
            metainfo = Metainfo.from_bytes(answer.read())
        assert metainfo.piece_length == 64 << 10
        assert told["info_hash"] == metainfo.info_hash.hex()
        assert metainfo.v2 is not None
        assert told["info_hash_v2"] == metainfo.v2.hex()
        trackers = metainfo.trackers[0]  # they alone lead to the peer
        links = [
            Magnet(info_hash=metainfo.info_hash, trackers=trackers),
            Magnet(v2=metainfo.v2, trackers=trackers),
        ]
        quiet = ("--no-dht", "--no-lsd", "--port", "0")
        gets = [
            stack.enter_context(
                program(
                    tmp_path / f"get{n}",
                    "get",
                    link,
                    "--output",
                    tmp_path / f"copy{n}",
                    "--bind",
                    f"127.0.0.{n + 3}",
                    *quiet,
                )
            )
            for n, link in enumerate(links)
        ]
        assert [get.wait() for get in gets] == [0, 0]
    (data / "sub/empty").unlink()
    assert same(data, tmp_path / "copy0/data")
    assert same(data, tmp_path / "copy1/data")


def test_share_asks_which_network_a_host_is_of(data: Path, tmp_path: Path) -> None:
    options = (
        "--bind",
        "127.0.0.1",
        "--port",
        "0",
        "--tracker-port",
        "0",
        "--connect",
        "127.0.0.1:9",
    )
    with program(tmp_path / "share", "share", data, *options) as sharing:
        sharing.wait_for_line()
        assert "which one is --connect for? Name it with --on\n" in sharing.stderr


def test_a_finished_download_seeds_as_long_as_it_is_told(
    torrent: Path, seed: str, tmp_path: Path
) -> None:
    with getting(tmp_path, torrent, "--peer", seed, "--stay") as get:
        get.wait_for("result")
        get.wait_for("status", state="seeding")
        assert stopped_in_time(get) == 0
    with getting(tmp_path, torrent, "--seed-for", "0.1s") as get:
        assert get.wait() == 0
    with getting(tmp_path, torrent, "--ratio", "0") as get:
        assert get.wait() == 0


def test_no_peers_is_four(torrent: Path, tmp_path: Path) -> None:
    with getting(tmp_path, torrent, "--timeout", "0.5s") as get:
        assert get.wait() == 4
        assert get.events[-1]["text"] == "no peers, gave up"
        assert get.stderr == "p2pswarm: no peers, gave up\n"


def test_a_dead_tracker_is_six(data: Path, tmp_path: Path, command: Command) -> None:
    torrent = tmp_path / "x.torrent"
    url = f"http://127.0.0.1:{number_for('127.0.0.1')}/announce"
    assert command("create", data, "-o", torrent, "--tracker", url).code == 0
    with getting(tmp_path, torrent, "--timeout", "2s") as get:
        assert get.wait() == 6
        assert get.stderr.startswith(f"p2pswarm: no peers: {url}: ")


def test_a_torrent_that_cannot_be_fetched_is_six(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{number_for('127.0.0.1')}/t/x.torrent"
    with getting(tmp_path, url) as get:
        assert get.wait() == 6
        assert get.stderr.startswith(f"p2pswarm: {url}: ")
        assert get.stderr.count("\n") == 1


def test_damaged_data_is_not_seeded(torrent: Path, data: Path, tmp_path: Path) -> None:
    with (data / "big").open("r+b") as file:
        file.write(b"damaged")
    with program(tmp_path / "seed", "seed", torrent, "--data", data, "--json") as seeding:
        assert seeding.wait() == 5
        assert "1 of 129 pieces (64.0 KiB) are missing or damaged" in seeding.stderr


@pytest.mark.parametrize("kind", ["file", "other data"])
def test_a_target_of_something_else_is_thirteen(
    torrent: Path, data: Path, tmp_path: Path, kind: str
) -> None:
    target = tmp_path / "copy/data"
    if kind == "file":
        target.parent.mkdir()
        target.write_bytes(b"mine")
    else:
        (target / "sub").mkdir(parents=True)
        (target / "big").write_bytes(os.urandom(8 * MIB + 12345))
    with getting(tmp_path, torrent) as get:
        assert get.wait() == 13
        assert get.stderr.count("\n") == 1
    assert kind != "file" or target.read_bytes() == b"mine"


def test_a_named_port_that_is_taken_is_an_error(torrent: Path, data: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.2", 0))
        taken.listen()
        port = taken.getsockname()[1]
        options = ("--data", data, "--bind", "127.0.0.2", "--port", port)
        with program(tmp_path / "seed", "seed", torrent, *options) as seeding:
            assert seeding.wait() == 1
            assert seeding.stderr.count("\n") == 1
            assert str(port) in seeding.stderr


@pytest.mark.parametrize("arguments", [["info"], ["info", "--json"], ["create", "--force"]])
def test_a_reader_that_closes_early_gets_no_traceback(
    torrent: Path, data: Path, tmp_path: Path, arguments: list[str]
) -> None:
    name, *flags = arguments
    subject = torrent if name == "info" else data
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as stdout:
        done = subprocess.run(
            [sys.executable, "-m", "p2pswarm", name, subject, *flags],
            stdout=stdout, stderr=subprocess.PIPE, timeout=PATIENCE, check=False, cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "P2PSWARM_QUIET": "1"} if name == "create"
            else {**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, b"")


def test_help_is_quick() -> None:
    """The node, its HTTP client and its event loop are not needed to read a page of help."""
    code = """
import sys
sys.argv[1:] = ["get", "--help"]
try:
    from p2pswarm.cli import main
    main()
except SystemExit:
    pass
print(sorted({"aiohttp", "uvloop", "p2pswarm.node", "rich"} & sys.modules.keys()))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, timeout=PATIENCE, check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_command_without_a_loop_is_ended_by_sigterm_too(data: Path, tmp_path: Path) -> None:
    os.truncate(data / "big", 4 << 30)  # as a hole: long to hash, short to make
    with program(tmp_path / "create", "create", data, "-o", tmp_path / "x", "--json") as running:
        running.wait_for("status")
        assert stopped_in_time(running, signal.SIGTERM) == 130
    assert not (tmp_path / "x").exists()
