"""Magnet links on the command line, the last of them between real processes."""

import os
import signal
from pathlib import Path

import pytest

from p2pswarm.cli import magnets
from p2pswarm.cli.magnets import read_magnet
from p2pswarm.formats.building import build
from p2pswarm.formats.magnet import Magnet
from p2pswarm.formats.metainfo import Metainfo
from tests.cli.conftest import Command
from tests.support.processes import program

HEX = "0123456789abcdef0123456789abcdef01234567"


def written(private: bool = False) -> Metainfo:
    """`x.torrent`, here."""
    trackers = [["http://tracker.example/announce"]]
    meta = build(
        name="x", piece_length=16384, pieces=bytes(20), length=5, trackers=trackers, private=private
    )
    Path("x.torrent").write_bytes(meta.raw)
    return meta


def test_a_torrent_has_a_link(command: Command) -> None:
    meta = written()
    ended = command("magnet", "x.torrent", "--peer", "192.0.2.1:5", "--peer", "[2001:db8::1]:6")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == (
        f"magnet:?xt=urn:btih:{meta.info_hash}&dn=x&tr=http%3A%2F%2Ftracker.example%2Fannounce"
        "&x.pe=192.0.2.1:5&x.pe=[2001:db8::1]:6\n"
    )


def test_of_a_private_torrent_it_is_said_that_the_link_is_not_enough(command: Command) -> None:
    written(private=True)
    ended = command("magnet", "x.torrent")
    assert ended.code == 0
    assert ended.out.startswith("magnet:?")
    assert "private" in ended.err


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("magnet:?dn=x", "names no torrent"),
        (f"magnet:?xt=urn:btmh:1114{'00' * 20}", "multihash"),
        (HEX[1:], "No such file"),
    ],
)
def test_a_link_that_leads_nowhere_is_a_bad_torrent(
    command: Command, source: str, said: str
) -> None:
    ended = command("get", source, "--port", "0", "--bind", "127.0.0.1", "--quiet")
    assert (ended.code, ended.out) == (3, "")
    assert said in ended.err
    assert ended.err.count("\n") == 1


def test_nobody_who_knows_it_is_no_peers(command: Command) -> None:
    options = ("--port", "0", "--bind", "127.0.0.1", "--timeout", "0.2s")
    ended = command("get", f"magnet:?xt=urn:btih:{HEX}&dn=thing&so=1", *options)
    assert ended.code == 4
    assert "looking for peers that know what thing is" in ended.err
    assert "no peers, gave up" in ended.err


def test_who_reaches_nobody_hears_of_super_nodes(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(magnets, "LONELY", 0.0)
    options = ("--port", "0", "--bind", "127.0.0.1", "--timeout", "0.2s")
    ended = command("get", HEX, *options)
    assert ended.err.count("--meet HOST:PORT, on both sides") == 1


def test_a_bare_info_hash_is_a_link_unless_it_is_a_file() -> None:
    wanted = Magnet.parse(f"magnet:?xt=urn:btih:{HEX}")
    assert read_magnet(HEX) == read_magnet(f" magnet:?xt=urn:btih:{HEX}\n") == wanted
    assert read_magnet("AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH") == wanted
    assert read_magnet("x.torrent") is None
    second = HEX + HEX[:24]
    of_version_2 = Magnet.parse(f"magnet:?xt=urn:btmh:1220{second}")
    assert read_magnet(second) == read_magnet(f"1220{second}") == of_version_2
    Path(HEX).touch()
    assert read_magnet(HEX) is None


def test_what_a_seed_prints_is_enough_to_get_it(tmp_path: Path, command: Command) -> None:
    """And a second time nobody is needed to know what it is."""
    data = tmp_path / "data"
    data.write_bytes(os.urandom(300_000))
    torrent, place = tmp_path / "data.torrent", ("--port", "0", "--json")
    assert command("create", data, "-o", torrent).code == 0
    seeding = program(
        tmp_path / "seed", "seed", torrent, "--data", data, "--bind", "127.0.0.2", *place
    )
    getting = ("-o", tmp_path / "copy", "--bind", "127.0.0.3", *place)
    with seeding as seed:
        peer = f"127.0.0.2:{seed.wait_for('listening')['port']}"
        link = seed.wait_for("result")["magnet"]
        with program(tmp_path / "get", "get", link, "--peer", peer, *getting) as get:
            assert get.wait() == 0, get.stderr
            assert get.latest("result")["path"] == str(tmp_path / "copy/data")
        assert seed.stop() == 0
    assert (tmp_path / "copy/data").read_bytes() == data.read_bytes()
    with program(tmp_path / "get", "get", link, *getting) as again:
        assert again.wait() == 0, again.stderr


@pytest.mark.parametrize("kind", ["--v2", "--hybrid"])
def test_the_sha_256_alone_is_enough_too(kind: str, tmp_path: Path, command: Command) -> None:
    data = tmp_path / "data"
    data.write_bytes(os.urandom(300_000))
    torrent, place = tmp_path / "data.torrent", ("--port", "0", "--json")
    created = ("create", data, "-o", torrent, "--piece-length", "64KiB", kind)
    assert command(*created).code == 0
    v2 = Metainfo.from_file(torrent).v2
    assert v2 is not None
    at = ("--data", data, "--bind", "127.0.0.2", *place)
    getting = ("-o", tmp_path / "copy", "--bind", "127.0.0.3", *place)
    with program(tmp_path / "seed", "seed", torrent, *at) as seed:
        peer = f"127.0.0.2:{seed.wait_for('listening')['port']}"
        with program(tmp_path / "get", "get", v2.hex(), "--peer", peer, *getting) as get:
            assert get.wait() == 0, get.stderr
    assert (tmp_path / "copy/data").read_bytes() == data.read_bytes()
    with program(tmp_path / "get", "get", f"1220{v2.hex()}", *getting) as again:
        assert again.wait() == 0, again.stderr


def test_stopped_while_it_looks_it_ends_in_time(tmp_path: Path) -> None:
    place = ("--bind", "127.0.0.1", "--port", "0", "--json")
    with program(tmp_path / "get", "get", HEX, *place) as get:
        get.wait_for("status", state="metadata")
        assert get.stop(signal.SIGINT) == 130
