"""Whole nodes among people, in virtual time: super nodes with the real directory, users found and rung."""

import asyncio
import time
from pathlib import Path

import pytest

from p2pswarm import hosting, presence
from p2pswarm.config import NetworkSettings
from p2pswarm.errors import HostError, NetworkError, UnknownNameError
from p2pswarm.formats.ids import Address
from p2pswarm.identity import FOLDER, Identity
from p2pswarm.net.port import Port
from p2pswarm.node import Node
from tests.support.people import issuer
from tests.support.quiet import quiet
from tests.support.world import World, simulate

PORT = 46881


def register(folder: Path, name: str = "") -> None:
    """As a login service did once: it is known, and perhaps has certified a name."""
    identity = Identity.load(folder / FOLDER)
    now = time.time()
    identity.trust(issuer().authority, "http://login.example.org")
    if name:
        serial = sum(name.encode())
        held = issuer().issue(name, identity.key.public, serial, now - 60, now + 86_400)
        identity.certify(held, now)


async def node(world: World, name: str = "", *connect: Node, **more: str) -> Node:
    host = world.host()
    folder = world.folder / f"{host.name}-state"
    register(folder, name)
    settings = quiet(bind=host.name, data_dir=folder, disk_threads=0, port=PORT)
    named = tuple(Address(each.settings.bind, PORT) for each in connect)
    node = Node(settings, NetworkSettings(connect=named, **more))
    await node.open()
    world.nodes.append(node)
    return node


async def supernodes(world: World, count: int) -> list[Node]:
    made: list[Node] = []
    for _ in range(count):
        made.append(await node(world, "", *made[:1], supernode_role="super"))
        await made[-1].networks.join("supernode")
    for each in made:
        await each.people.open()
    await world.until(lambda: all(each.people.network.door.serves for each in made))
    return made


async def user(world: World, name: str, *connect: Node) -> Node:
    made = await node(world, name, *connect, supernode_role="ordinary")
    await made.people.join()
    return made


def test_who_serves_in_the_supernode_network_serves_people(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        supers = await supernodes(world, 3)
        await asyncio.sleep(60)
        bob = await user(world, "bob", supers[0])
        alice = await user(world, "alice", supers[1])
        await world.until(lambda: bob.people.network.status().published)
        await world.until(lambda: len(bob.people.network.homes) == 3)
        bob.people.network.on_ring = lambda rung: rung.answer(b"here")
        found = await alice.people.network.find("bob")
        assert found.hops <= 3
        for recursive in (False, True):
            with pytest.raises(UnknownNameError):
                await alice.people.network.find("nobody", recursive=recursive)
        answer = await alice.people.network.ring(found.record, b"hello", session=b"s" * 16)
        assert answer == b"here"

    simulate(tmp_path, story)


def test_a_super_node_that_goes_takes_nothing_with_it(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        supers = await supernodes(world, 4)
        await asyncio.sleep(60)
        bob = await user(world, "bob", supers[0])
        await world.until(lambda: bob.people.network.status().published)
        gone = supers.pop(1)
        world.nodes.remove(gone)
        await gone.aclose()
        await gone.aclose()
        alice = await user(world, "alice", supers[0])
        assert (await alice.people.network.find("bob")).record.name == "bob"
        where = Address(gone.settings.bind, PORT)
        await world.until(lambda: where not in bob.people.network.keeping.homes)

    simulate(tmp_path, story)


def test_a_role_that_turns_to_and_fro_ends_as_it_is(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        (one,) = await supernodes(world, 1)
        people, supernode = one.people, one.people._hosting.supernode
        assert supernode is not None
        for serves in (False, True, False, True):
            people.turned(supernode, serves=serves)
        await world.until(lambda: people.network.door.serves, 5)
        await asyncio.sleep(5)
        assert people.network.door.serves
        people.turned(supernode, serves=False)
        await world.until(lambda: not people.network.door.serves, 5)

    simulate(tmp_path, story)


def test_a_login_service_that_comes_late_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def introduced(identity: Identity, url: str, port: Port) -> None:
        asked.append(url)
        if len(asked) < 4:
            raise NetworkError("it does not answer")
        identity.trust(issuer().authority, url)

    for room in (hosting, presence):  # which has its own name for it, from its first import on
        monkeypatch.setattr(room, "introduced", introduced)

    async def story(world: World) -> None:
        host = world.host()
        settings = quiet(bind=host.name, data_dir=tmp_path / "x", disk_threads=0, port=PORT)
        wishes = NetworkSettings(supernode_role="super", login="http://login.example.org")
        alone = Node(settings, wishes)
        await alone.open()
        world.nodes.append(alone)
        await alone.networks.join("supernode")
        await asyncio.sleep(30)
        assert len(asked) == 4
        assert alone.people.network.door.serves

    simulate(tmp_path, story)


def test_without_a_login_service_nobody_is_served(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        host = world.host()
        settings = quiet(bind=host.name, data_dir=tmp_path / "x", disk_threads=0, port=PORT)
        alone = Node(settings, NetworkSettings(supernode_role="super"))
        await alone.open()
        world.nodes.append(alone)
        await alone.networks.join("supernode")
        await asyncio.sleep(10)
        await alone.people.open()
        assert not alone.people.network.door.serves

    simulate(tmp_path, story)


def test_what_is_not_open_says_so(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        each = await node(world)
        with pytest.raises(HostError, match="not open"):
            _ = each.people.network
        await each.aclose()
        with pytest.raises(HostError):
            await each.people.open()

    simulate(tmp_path, story)


def test_another_login_service_than_the_known_one_is_said_to_change_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    known, other = "http://login.example.org", "http://other.example.org"
    fine = f"{known}/#{issuer().authority.fingerprint.upper()}"

    async def story(world: World) -> None:
        for login in ("", known, fine):
            await (await node(world, login=login)).people.open()
        assert not caplog.messages
        for login in (other, f"{known}#{'0' * 64}"):
            await (await node(world, login=login)).people.open()

    simulate(tmp_path, story)
    assert caplog.messages == [
        f"--login {url} changes nothing: here the names of {known} count"
        for url in (other, f"{known}#{'0' * 64}")
    ]
