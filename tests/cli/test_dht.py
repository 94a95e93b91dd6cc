"""`p2pswarm dht`, with libtorrent as the DHT."""

import json
from collections.abc import Callable
from functools import partial
from hashlib import sha1
from pathlib import Path

import libtorrent as lt
import pytest

from p2pswarm.formats.ids import InfoHash
from p2pswarm.formats.magnet import Magnet
from tests.cli.conftest import Command, Ran
from tests.support.foreign import until
from tests.support.foreign_dht import LibtorrentDht, libtorrent
from tests.support.processes import program

NOWHERE = "127.0.0.1:1"
SWARM = InfoHash(b"\x12" * 20)
HERE = ("--bind", "127.0.0.1", "--port", "0")


@pytest.fixture
def node() -> LibtorrentDht:
    return LibtorrentDht()


@pytest.fixture
def dht(command: Command, node: LibtorrentDht) -> Callable[..., Ran]:
    return partial(command, "dht", *HERE, "--dht-bootstrap", node.address)


def result(ran: Ran) -> dict[str, object]:
    [said] = [line for line in map(json.loads, ran.out.splitlines()) if line["event"] == "result"]
    return said


def test_a_text_is_put_and_got(dht: Callable[..., Ran]) -> None:
    put = dht("put", "hello, wörld")
    assert put.code == 0, put.err
    target = sha1(b"13:hello, w\xc3\xb6rld").hexdigest()
    assert put.out == f"{target}\n"
    assert put.err == "p2pswarm: 1 node took it, for two hours\n"
    got = dht("get", target)
    assert (got.code, got.out) == (0, "hello, wörld\n")
    said = result(dht("get", target.upper(), "--json"))
    assert (said["value"], said["target"]) == ("hello, wörld", target)


def test_a_value_that_is_no_text_is_shown_as_json(
    dht: Callable[..., Ran], node: LibtorrentDht
) -> None:
    other = libtorrent(node.address)
    target = other.put({b"list": [1, b"two"], b"raw": b"\xff"})
    ran = dht("get", target.hex())
    assert json.loads(ran.out) == {"list": [1, "two"], "raw": "\\xff"}
    assert result(dht("get", target.hex(), "--json"))["value"] == json.loads(ran.out)


def test_a_text_of_a_key_is_changed_by_its_holder(dht: Callable[..., Ran]) -> None:
    first = dht("put", "version 1", "--key", "news.key", "--salt", "a")
    assert first.code == 0, first.err
    key = first.out.strip()
    assert len(key) == 64
    said = result(dht("put", "version 2", "--key", "news.key", "--salt", "a", "--json"))
    assert (said["key"], said["salt"], said["sequence"], said["nodes"]) == (key, "a", 2, 1)
    for name in (key, said["target"]):
        assert dht("get", name, "--salt", "a").out == "version 2\n"
    assert dht("get", key).code == 4


def test_peers_are_found_and_counted(dht: Callable[..., Ran], node: LibtorrentDht) -> None:
    other = libtorrent(node.address)
    other.announce(SWARM, 5555)
    node.wait_for(lt.dht_announce_alert)
    for name in (SWARM.hex(), str(Magnet(info_hash=SWARM))):
        ran = dht("peers", name)
        assert (ran.code, ran.out) == (0, "127.0.0.1:5555\n"), ran.err
        assert "1 peer named by 2 nodes; in all about 0 seeds and 1 other" in ran.err
    assert result(dht("peers", SWARM.hex(), "--json"))["port"] == 5555
    assert dht("sample").out == f"{SWARM.hex()}\n"


def test_the_table_is_shown_and_remembered(
    dht: Callable[..., Ran], command: Command, node: LibtorrentDht
) -> None:
    ran = dht()
    own, address = ran.out.rstrip("\n").split("\t")
    assert (len(own), address) == (40, str(node.address))
    assert ran.err == "p2pswarm: ipv4: 1 node\n"
    again = command("dht", "show", *HERE, "--dht-bootstrap", NOWHERE, "--json")
    assert again.code == 0, again.err
    assert (result(again)["id"], result(again)["port"]) == (own, node.address.port)


def test_a_node_of_ours_keeps_items_and_names_who_announced(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "data").write_bytes(b"x" * 20_000)
    torrent = tmp_path / "data.torrent"
    assert command("create", tmp_path / "data", "-o", torrent).code == 0
    seed = ("seed", torrent, "--data", tmp_path / "data", "--dht", "--json", *HERE)
    with program(tmp_path / "first", *seed, "--dht-bootstrap", NOWHERE) as first:
        there = f"127.0.0.1:{first.wait_for('listening')['port']}"
        dht = partial(command, "dht", *HERE, "--dht-bootstrap", there)
        target = dht("put", "kept").out.strip()
        assert dht("get", target).out == "kept\n"
        with program(tmp_path / "second", *seed, "--dht-bootstrap", there) as second:
            port = second.wait_for("listening")["port"]
            until(lambda: bool(dht("sample").out), "the second announces itself")
            info_hash = dht("sample").out.strip()
            assert f"127.0.0.1:{port}\n" in dht("peers", info_hash).out


def test_nobody_has_it(dht: Callable[..., Ran]) -> None:
    for what in ("get", "peers"):
        ran = dht(what, "ab" * 20)
        assert (ran.code, ran.out) == (4, "")
        assert "nobody" in ran.err.splitlines()[-1]
    assert dht("sample").code == 0


def test_no_node_at_all(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2pswarm.discovery.dht.dht._JOINING", 0.05)
    for what in (("show",), ("get", "ab" * 20), ("put", "text"), ("sample",)):
        ran = command("dht", *HERE, "--dht-bootstrap", NOWHERE, *what)
        assert ran.code == 6
        assert "--dht-bootstrap" in ran.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("what", "code"),
    [
        (("shout",), 2),
        (("get",), 2),
        (("put", "x" * 997), 2),
        (("put", "x", "--salt", "x" * 65), 2),
        (("put", "x", "--salt", "a"), 2),
        (("get", "ab" * 21), 3),
        (("peers", "xy" * 20), 3),
        (("peers", "magnet:?dn=x"), 3),
    ],
)
def test_what_is_wrong_is_said_before_anybody_is_asked(
    command: Command, what: tuple[str, ...], code: int
) -> None:
    ran = command("dht", *HERE, *what)
    assert ran.code == code
    assert len(ran.err.splitlines()) == 1
    assert not Path("news.key").exists()
