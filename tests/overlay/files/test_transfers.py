"""Files that move, without a network around them: what is known of hosts, and what is done for strangers."""

import asyncio
from pathlib import Path

import pytest

from p2pswarm.errors import NetworkError, RefusedError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone
from p2pswarm.net.port import Port
from p2pswarm.overlay.files.sources import Source
from p2pswarm.overlay.files.transfers import MOST_FILES, MOST_OTHERS, Transfers
from p2pswarm.overlay.query import Hit
from tests.support.moving import SHA1, Begun, Place, exchanging, nobody
from tests.support.servent import PORT, dial, listening, value
from tests.support.world import World, simulate


async def moving(world: World) -> tuple[Transfers, Place, Port]:
    exchange = await exchanging(world)
    place = Place(exchange.port.host)
    transfers = Transfers(exchange, place, nobody, network="gnutella")
    transfers.open()
    return transfers, place, exchange.port


def hit(**more: object) -> Hit:
    return Hit("blue moon.ogg", 1000, "gnutella", **{"sha1": SHA1, **more})  # type: ignore[arg-type]


def test_others_are_told_once_never_ourselves_and_not_without_end(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        transfers, place, port = await moving(world)
        assert place.address is not None
        transfers._learned(Source(place.address, 1000, SHA1))
        assert not transfers.others(hit())
        for number in range(2 * MOST_OTHERS):
            transfers._learned(Source(Address("10.0.9.9", number + 1), 1000, SHA1))
        assert len(transfers.others(hit())) == MOST_OTHERS
        assert not transfers.others(hit())
        for number in range(MOST_FILES + 100):
            sha1 = number.to_bytes(20, "big")
            transfers._learned(Source(Address("10.0.9.9", 1), 1000, sha1))
        assert len(transfers._others) == MOST_FILES
        await port.close()

    simulate(tmp_path, story)


def test_a_proxy_nearer_than_who_named_it_is_no_proxy(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        transfers, _, port = await moving(world)
        proxies = (Address("10.0.0.9", 1), Address("127.0.0.1", 1), Address("8.8.8.8", 1))
        nowhere = Address("0.0.0.0", 0)
        told = Source(
            nowhere, 1000, SHA1, servent=bytes(16), push=True, proxies=proxies, teller=Zone.INTERNET
        )
        transfers._learned(told)
        (other,) = transfers.others(hit())
        assert (other.host, other.firewalled) == (None, True)
        assert other.proxies == (Address("8.8.8.8", 1),)
        await port.close()

    simulate(tmp_path, story)


def test_nobody_knows_where_a_hit_without_address_and_servent_is(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        transfers, _, port = await moving(world)
        with pytest.raises(RefusedError, match="search again"):
            await transfers.fetch(hit(nick="somebody"), 0, lambda data: True)
        await port.close()

    simulate(tmp_path, story)


def test_a_hit_with_an_impossible_number_is_no_bug(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        transfers, _, port = await moving(world)
        pushed = hit(nick="22" * 16, firewalled=True, index=1 << 32)
        with pytest.raises(NetworkError, match="no push can ask for that"):
            await transfers.fetch(pushed, 0, lambda data: True)
        await port.close()

    simulate(tmp_path, story)


def test_what_is_lent_is_given_until_it_is_taken_back(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        transfers, _, port = await moving(world)
        life = asyncio.ensure_future(transfers._exchange.run())
        await asyncio.sleep(0.1)
        end = transfers.lend(Begun())
        guest = await dial(world, Address(port.host, PORT))
        target = "/uri-res/N2R?urn:sha1:CEIRCEIRCEIRCEIRCEIRCEIRCEIRCEIR"
        head, body = await guest.ask(target, "X-Alt: 10.0.9.9:99", "Range: bytes=5-20")
        assert head.startswith("HTTP/1.1 206 ")
        assert value(head, "X-Available-Ranges") == "bytes 0-9"
        assert body == b"x" * 5
        (other,) = transfers.others(hit())
        assert (other.host, other.size) == (Address("10.0.9.9", 99), 1000)
        for _ in range(2):
            end()
        head, _ = await guest.ask(target)
        assert head.startswith("HTTP/1.1 404 ")
        life.cancel()
        await asyncio.wait([life])
        await port.close()

    simulate(tmp_path, story)


@pytest.mark.parametrize(("index", "comes"), [(7, True), (8, False)])
def test_a_push_is_obeyed_for_what_was_told(tmp_path: Path, index: int, comes: bool) -> None:
    async def story(world: World) -> None:
        transfers, place, port = await moving(world)
        life = asyncio.ensure_future(transfers.run())
        await asyncio.sleep(0.1)
        async with listening(world) as (address, came):
            transfers.pushed(place.guid, index, address, address)
            await asyncio.sleep(1)
            assert came.empty() is not comes
            if comes:
                assert (await (await came.get()).line()).startswith(
                    f"GIV {index}:{place.guid.hex()}/"
                )
        life.cancel()
        await asyncio.wait([life])
        await port.close()

    simulate(tmp_path, story)
