"""A `search` with the nick of the `share` on the same machine threw that out of the server for a moment."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from p2pswarm.config import NetworkSettings
from p2pswarm.errors import InUseError, NetworkError
from p2pswarm.formats.ids import Address
from p2pswarm.node import Node
from p2pswarm.overlay.napster import accounts
from p2pswarm.overlay.napster.accounts import MOST_AT_ONCE, Held
from tests.bugs.test_forgotten_password import serving
from tests.support.quiet import quiet
from tests.support.scripted_napster import client

HERE = Address("127.0.0.1", 8888)


@asynccontextmanager
async def alice(
    home: Path, server: Address, host: str, password: str = "pw"
) -> AsyncIterator[Node]:
    settings = quiet(port=0, bind=host, data_dir=home)
    networks = NetworkSettings(
        napster_server=server, napster_nick="alice", napster_password=password
    )
    async with Node(settings, networks) as node:
        await node.networks.join("napster")
        yield node


def nick(node: Node) -> str:
    return node.networks._joined["napster"].nick


async def test_the_second_comes_under_a_name_beside_it_again_and_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home = tmp_path / "home"
    async with (
        serving(tmp_path / "accounts.db") as server,
        alice(home, server, "127.0.0.2") as sharing,
    ):
        connection = sharing.networks._joined["napster"]._connection
        session = connection.current()
        for _ in range(2):
            async with alice(home, server, "127.0.0.3") as searching:
                assert (nick(sharing), nick(searching)) == ("alice", "alice-2")
                await searching.networks.join("napster")
                assert nick(searching) == "alice-2"
        assert connection.current() is session
    assert "alice is in use on this machine: here as alice-2" in caplog.messages
    async with (
        serving(tmp_path / "accounts.db") as server,
        alice(home, server, "127.0.0.2") as node,
    ):
        assert nick(node) == "alice"


async def test_a_name_of_somebody_else_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home = tmp_path / "home"
    async with (
        serving(tmp_path / "accounts.db") as server,
        client(server, host="127.0.0.9", nick="alice-2", password="bob's") as other,
        client(server, host="127.0.0.9", nick="Alice-3", password="bob's") as another,
        alice(home, server, "127.0.0.2"),
    ):
        await other.join()
        await another.join()
        passwords = set()
        for _ in range(2):
            async with alice(home, server, "127.0.0.3") as searching:
                assert nick(searching) == "alice-4"
                passwords.add(searching.networks._joined["napster"]._connection.account.password)
        assert len(passwords) == 1
    assert "the server refuses alice-2: here as alice-3" in caplog.messages


async def test_but_one_that_was_ours_is_not_given_up(tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with serving(tmp_path / "accounts.db") as server:
        here = Held.take(home / "accounts", server, "alice", "pw")
        kept = Held.take(home / "accounts", server, "alice")
        kept.close()
        async with client(server, host="127.0.0.9", nick="alice-2", password="bob's") as other:
            await other.join()
            with pytest.raises(NetworkError, match="the server refuses alice-2"):
                async with alice(home, server, "127.0.0.3"):
                    pass
        here.close()


async def test_names_run_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "MOST_AT_ONCE", 2)
    async with (
        serving(tmp_path / "accounts.db") as server,
        client(server, host="127.0.0.9", nick="alice-2", password="bob's") as other,
        alice(tmp_path / "home", server, "127.0.0.2"),
    ):
        await other.join()
        with pytest.raises(NetworkError, match="the server refuses alice-2"):
            async with alice(tmp_path / "home", server, "127.0.0.3"):
                pass


def test_a_long_name_stays_one_that_servers_take(tmp_path: Path) -> None:
    held = [Held.take(tmp_path, HERE, "b" * 32) for _ in range(2)]
    assert [each.nick for each in held] == ["b" * 32, "b" * 30 + "-2"]
    for each in held:
        each.close()


def test_names_are_free_again_and_do_not_share_a_password(tmp_path: Path) -> None:
    held = [Held.take(tmp_path, HERE, "bob", "secret") for _ in range(MOST_AT_ONCE)]
    assert [each.nick for each in held[:3]] == ["bob", "bob-2", "bob-3"]
    assert len({each.password for each in held}) == MOST_AT_ONCE
    with pytest.raises(InUseError, match="9 programs of this machine are in as bob already"):
        Held.take(tmp_path, HERE, "bob")
    held[1].close()
    held[1].close()
    again = Held.take(tmp_path, HERE, "bob", "secret")
    assert (again.nick, again.password) == ("bob-2", held[1].password)
    for each in (*held, again):
        each.close()
