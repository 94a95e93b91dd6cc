"""A `search` with the nick of the `share` on the same machine threw that out of the server for a moment."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from p2pswarm.config import NetworkSettings, Settings
from p2pswarm.errors import InUseError
from p2pswarm.formats.ids import Address
from p2pswarm.node import Node
from p2pswarm.overlay.napster.accounts import MOST_AT_ONCE, Held
from tests.bugs.test_forgotten_password import serving

HERE = Address("127.0.0.1", 8888)


@asynccontextmanager
async def alice(
    home: Path, server: Address, host: str, password: str = "pw"
) -> AsyncIterator[Node]:
    settings = Settings(port=0, bind=host, data_dir=home)
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
