"""A nick without a password was registered with one that nobody kept, so its next run was locked out."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from p2pswarm.config import NetworkSettings
from p2pswarm.errors import DiskError, HostError
from p2pswarm.formats.ids import Address
from p2pswarm.node import Node
from p2pswarm.overlay.napster.accounts import Held
from tests.support.quiet import quiet
from tracker.napster.server import NapsterServer, NapsterSettings

HERE = Address("Server.example", 8888)


def kept_password(folder: Path, server: Address, nick: str) -> str:
    held = Held.take(folder, server, nick)
    held.close()
    return held.password


@asynccontextmanager
async def serving(accounts: Path) -> AsyncIterator[Address]:
    server = NapsterServer(NapsterSettings(host="127.0.0.1", port=0, accounts=accounts))
    await server.start()
    try:
        yield Address("127.0.0.1", server.port)
    finally:
        await server.aclose()


async def come_and_go(home: Path, server: Address, password: str = "") -> str:
    settings = quiet(port=0, bind="127.0.0.2", data_dir=home)
    networks = NetworkSettings(
        napster_server=server, napster_nick="alice", napster_password=password
    )
    async with Node(settings, networks) as node:
        await node.networks.join("napster")
        return node.networks._joined["napster"].nick


async def test_the_next_run_gets_in(tmp_path: Path) -> None:
    async with serving(tmp_path / "accounts.db") as server:
        for _ in range(2):
            assert await come_and_go(tmp_path / "home", server) == "alice"
    (kept,) = (tmp_path / "home" / "accounts").iterdir()
    assert kept.name == f"alice@127.0.0.1:{server.port}"
    assert kept.stat().st_mode & 0o777 == 0o600


async def test_a_password_that_was_told_is_not_written_down(tmp_path: Path) -> None:
    async with serving(tmp_path / "accounts.db") as server:
        await come_and_go(tmp_path / "home", server, "secret")
    (kept,) = (tmp_path / "home" / "accounts").iterdir()
    assert kept.read_bytes() == b""


def test_each_server_and_nick_has_its_own(tmp_path: Path) -> None:
    who = [(HERE, "alice"), (HERE, "bob"), (Address(HERE.host, 1), "alice"), (HERE, "../x/y")]
    first = [kept_password(tmp_path / "a", *each) for each in who]
    assert len(set(first)) == len(who)
    assert [kept_password(tmp_path / "a", *each) for each in who] == first
    assert kept_password(tmp_path / "a", Address("server.EXAMPLE", 8888), "Alice") == first[0]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("text", ["two words", "a\nb", 'quo"te', "é"])
def test_what_is_no_password_is_said_and_left_alone(tmp_path: Path, text: str) -> None:
    kept_password(tmp_path, HERE, "alice")
    (path,) = tmp_path.iterdir()
    path.write_text(text, "utf-8")
    with pytest.raises(HostError, match="holds no password"):
        kept_password(tmp_path, HERE, "alice")
    assert path.read_text("utf-8") == text


@pytest.mark.parametrize("text", ["\n", " \r\n\n", "\n" * 99])
def test_white_space_is_no_password(tmp_path: Path, text: str) -> None:
    kept_password(tmp_path, HERE, "alice")
    (path,) = tmp_path.iterdir()
    path.write_text(text, "utf-8")
    password = kept_password(tmp_path, HERE, "alice")
    assert len(password) == 16
    assert path.read_text("utf-8") == password


def test_a_power_cut_does_not_take_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced, real = [], os.fsync

    def fsync(fd: int) -> None:
        synced.append(os.fstat(fd).st_ino)
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    folder = tmp_path / "accounts"
    for _ in range(2):
        kept_password(folder, HERE, "alice")
    (path,) = folder.iterdir()
    assert synced == [path.stat().st_ino, folder.stat().st_ino]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "alice@server.example:8888").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DiskError, match="a symbolic link is in the way"):
        kept_password(tmp_path, HERE, "alice")
    assert not (tmp_path / "elsewhere").exists()
