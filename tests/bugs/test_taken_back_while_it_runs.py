"""A certificate that is taken back ends what goes on with whom it names: calls, and homes at super nodes."""

import asyncio
import time
from pathlib import Path

import pytest

from p2pswarm import hosting, presence
from p2pswarm.errors import NetworkError
from p2pswarm.identity import Identity
from p2pswarm.lab.loop import VirtualLoop, play
from p2pswarm.net.port import Port
from tests.calling.test_phone import called
from tests.support.people import issuer
from tests.support.phones import Exchange
from tests.support.world import World, simulate
from tests.test_presence import supernodes, user


def test_a_call_with_whom_it_names_ends_and_both_hear_why(tmp_path: Path) -> None:
    async def story(loop: VirtualLoop) -> None:
        exchange = Exchange(loop, tmp_path)
        bob = exchange.bob.certificate
        async with called(exchange) as (near, far):
            for serials in ([99], [99, bob.serial]):
                assert not near.ended.done()
                gone = exchange.issuer.revoke(serials, len(serials), exchange.wall())
                exchange.alice.identity.revoke(gone)
            with pytest.raises(NetworkError, match="the certificate of bob has been revoked"):
                await near.ended
            assert await far.ended == "the certificate of bob has been revoked"

    play(story)


@pytest.mark.sim
def test_a_guest_whom_it_names_is_sent_away_when_its_super_node_hears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken_back: list[int] = []

    async def introduced(identity: Identity, url: str, port: Port) -> None:
        identity.revoke(issuer().revoke(taken_back, 1 + len(taken_back), time.time()))

    for room in (hosting, presence):  # which has its own name for it, from its first import on
        monkeypatch.setattr(room, "introduced", introduced)
    monkeypatch.setattr(hosting, "REFRESH", 20.0)

    async def story(world: World) -> None:
        supers = await supernodes(world, 2)
        bob, eve = [await user(world, name, supers[0]) for name in ("bob", "eve")]
        doors = [each.people.network.door for each in supers]
        held = eve.people.identity.certificate
        assert held is not None
        key = eve.people.identity.key.public
        await world.until(lambda: any(door.homes.has(key) for door in doors))
        taken_back.append(held.serial)
        await world.until(lambda: not any(door.homes.has(key) for door in doors), 60.0)
        await world.until(lambda: "revoked" in eve.people.network.keeping.trouble)
        assert bob.people.network.homes
        await asyncio.sleep(10)
        assert not eve.people.network.homes

    simulate(tmp_path, story)
