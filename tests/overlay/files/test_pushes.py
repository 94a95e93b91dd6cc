"""Push from both sides: who cannot be dialed dials, and nobody is dialed because a stranger says so."""

import asyncio
from dataclasses import replace
from hashlib import sha1
from pathlib import Path
from random import Random

import pytest

from p2pswarm.errors import NetworkError, RefusedError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.urns import base32
from p2pswarm.formats.zones import Zone
from p2pswarm.overlay.files import asking, pushed, pushes
from p2pswarm.overlay.files.sources import Source
from tests.support.servent import PORT, Servent, dial, listening, value
from tests.support.world import World, simulate

DATA = Random(3).randbytes(900_000)
N2R = f"/uri-res/N2R?urn:sha1:{base32(sha1(DATA).digest())}"


@pytest.fixture
def share(tmp_path: Path) -> Path:
    folder = tmp_path / "Music"
    folder.mkdir()
    (folder / "blue moon.mp3").write_bytes(DATA)
    return folder


async def whole(taker: Servent, source: Source) -> bytes:
    got = bytearray()

    def sink(data: bytes) -> bool:
        got.extend(data)
        return True

    await taker.downloads.fetch(source, 0, sink)
    return bytes(got)


def test_from_a_servent_behind_a_firewall(tmp_path: Path, share: Path) -> None:
    async def story(world: World) -> None:
        async with Servent.here(world, share) as giver, Servent.here(world) as taker:
            file = await giver.the_file()
            giver.hits.add(file.id)
            link = Address("10.0.0.99", 1)

            def way(servent: bytes, index: int, here: Address) -> bool:
                return giver.pushed.heard(servent, index, here, link)

            taker.way = way
            del asyncio.get_running_loop().listeners[giver.address]  # type: ignore[attr-defined]
            assert await whole(taker, await giver.source(push=True)) == DATA
            # Likewise when the dial is what shows that it cannot be dialed.
            assert await whole(taker, await giver.source()) == DATA

    simulate(tmp_path, story)


def test_what_is_said_to_who_asked(tmp_path: Path, share: Path) -> None:
    async def story(world: World) -> None:
        async with (
            Servent.here(world, share) as giver,
            listening(world) as (address, came),
        ):
            file = await giver.the_file()
            giver.hits.add(file.id)
            assert giver.pushed.heard(giver.guid, file.id, address, Address("10.0.0.99", 1))
            asker = await came.get()
            assert await asker.line() == f"GIV {file.id}:{giver.guid.hex()}/file"
            assert (await asker.ask(N2R, "Range: bytes=5-9"))[1] == DATA[5:10]
            head, body = await asker.ask(N2R)
            assert (value(head, "Content-Length"), body) == (str(len(DATA)), DATA)

    simulate(tmp_path, story)


def test_who_fetched_by_a_push_may_push_again_when_the_connection_breaks(
    tmp_path: Path, share: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pushed, "GUEST_TIME", 60.0)

    async def story(world: World) -> None:
        async with (
            Servent.here(world, share) as giver,
            listening(world) as (address, came),
            listening(world) as (other, _),
        ):
            file = await giver.the_file()
            link, push = Address("10.0.0.99", 1), (giver.guid, 0xFFFFFFFF, address)
            assert not giver.pushed.heard(*push, link)
            giver.hits.add(0)
            for _ in range(3):
                assert giver.pushed.heard(*push, link)
                asker = await came.get()
                assert "GIV " in await asker.line()
                assert (await asker.ask(N2R, "Range: bytes=5-9"))[1] == DATA[5:10]
                asker.hang_up()
                giver.hits.clear()  # that was long ago by now
                await asyncio.sleep(pushed.GUEST_TIME - 10)
            assert not giver.pushed.heard(giver.guid, file.id, other, link)
            await asyncio.sleep(pushed.GUEST_TIME)
            assert not giver.pushed.heard(*push, link)
            for number in range(2 * pushed.MOST_GUESTS):
                giver.pushed._had(str(number))
            assert len(giver.pushed._guests) == pushed.MOST_GUESTS

    simulate(tmp_path, story)


def test_a_stranger_brings_a_file_that_was_asked_for(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        async with Servent.here(world) as taker, listening(world) as (address, _):
            guid, host = bytes(range(16)), address.host
            taker.way = lambda *push: True
            source = replace(_source(address), servent=guid, push=True)
            working = asyncio.ensure_future(whole(taker, source))
            await asyncio.sleep(1)
            wrong = await dial(world, taker.address, host)
            wrong.say(f"GIV 1:{'00' * 16}/file\n\n")
            elsewhere = await dial(world, taker.address)
            elsewhere.say(f"GIV 1:{guid.hex()}/file\n\n")
            await wrong.hung_up()
            await elsewhere.hung_up()
            right = await dial(world, taker.address, host)
            right.say(f"GIV 1:{guid.hex()}/file\n\n")
            assert (await right.head()).startswith(f"GET {N2R} HTTP/1.1\r\n")
            right.say(f"HTTP/1.1 200 OK\r\nContent-Length: {len(DATA)}\r\n\r\n".encode() + DATA)
            assert await working == DATA
            late = await dial(world, taker.address, host)
            late.say(f"GIV 1:{guid.hex()}/file\n\n")
            await late.hung_up()

    simulate(tmp_path, story)


def _source(address: Address) -> Source:
    return Source(address, len(DATA), sha1(DATA).digest(), teller=Zone.LOCAL_NETWORK)


def test_nobody_comes(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        async with Servent.here(world) as taker, listening(world) as (address, _):
            source = replace(_source(address), servent=bytes(16), push=True)
            with pytest.raises(NetworkError, match="nobody knows a way"):
                await whole(taker, source)
            taker.way = lambda *push: True
            with pytest.raises(NetworkError, match="does not connect to us"):
                await whole(taker, source)
            taker.firewalled = True
            with pytest.raises(RefusedError, match="cannot dial each other"):
                await whole(taker, source)
            assert taker.pushes._awaited == []

    assert simulate(tmp_path, story) < 2 * pushes.PUSH_TIME + asking.ANSWER_TIME


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("firewalled", [False, True])
def test_who_says_that_it_is_firewalled_is_dialed_when_no_push_reaches_it(
    tmp_path: Path, share: Path, lost: bool, firewalled: bool
) -> None:
    async def story(world: World) -> None:
        async with Servent.here(world, share) as giver, Servent.here(world) as taker:
            taker.way = lambda *push: lost
            taker.firewalled = firewalled
            source = await giver.source(push=True)
            assert await whole(taker, source) == DATA
            before = world.loop.time()
            assert await whole(taker, source) == DATA
            assert world.loop.time() < before + 5  # no push is waited for again
            near = replace(source, address=Address("127.0.0.1", PORT), teller=Zone.INTERNET)
            with pytest.raises(NetworkError):
                await whole(taker, near)

    simulate(tmp_path, story)


def test_by_a_push_proxy(tmp_path: Path, share: Path) -> None:
    async def story(world: World) -> None:
        async with (
            Servent.here(world, share) as giver,
            Servent.here(world) as proxy,
            Servent.here(world) as taker,
        ):
            giver.hits.add(0)
            link = proxy.address

            def carry(servent: bytes, address: Address) -> bool:
                return giver.pushed.heard(servent, 0, address, link)

            proxy.uploads._proxy = carry
            nobody = Address("10.0.0.250", PORT)
            world.loop.hosts[nobody.host] = world.host()
            source = await giver.source(push=True, proxies=(nobody, proxy.address))
            assert await whole(taker, source) == DATA
            stranger = replace(source, servent=bytes(16), address=Address("0.0.0.0", 0))
            with pytest.raises(NetworkError, match="nobody knows a way"):
                await whole(taker, stranger)

    simulate(tmp_path, story)


def test_an_address_that_never_answers_is_dialed_once(tmp_path: Path, share: Path) -> None:
    async def story(world: World) -> None:
        async with (
            Servent.here(world, share) as giver,
            listening(world) as (victim, came),
        ):
            giver.hits.add(1)
            for number in range(8):
                giver.pushed.heard(giver.guid, 1, victim, Address(f"10.0.1.{number}", 1))
                await asyncio.sleep(30)
            assert came.qsize() == 1
            assert (await came.get()).over  # it was given 20 s to ask for something

    simulate(tmp_path, story)


def test_what_a_push_has_to_be(tmp_path: Path, share: Path) -> None:
    async def story(world: World) -> None:
        async with (
            Servent.here(world, share) as giver,
            listening(world) as (victim, came),
        ):
            link, far = Address("10.0.0.99", 1), Address("8.8.8.8", 1)
            giver.hits.add(1)
            assert not giver.pushed.heard(bytes(16), 1, victim, link)
            assert not giver.pushed.heard(giver.guid, 2, victim, link)
            giver.pushed.heard(giver.guid, 1, victim, far)  # we are nearer than that
            giver.pushed.heard(giver.guid, 1, Address("127.0.0.1", 80), link)
            giver.pushed.heard(giver.guid, 1, Address(victim.host, 0), link)
            await asyncio.sleep(30)
            assert came.empty()

    simulate(tmp_path, story)


def test_a_neighbour_brings_so_many_in_a_minute(tmp_path: Path, share: Path) -> None:
    async def story(world: World) -> None:
        async with Servent.here(world, share) as giver:
            giver.hits.add(1)
            push, link = (giver.guid, 1, Address("127.0.0.1", 80)), Address("10.0.0.99", 1)
            taken = [giver.pushed.heard(*push, link) for _ in range(50)]
            assert taken.count(True) == pushed.MOST_OF_LINK
            assert giver.pushed.heard(*push, Address("10.0.0.98", 1))
            await asyncio.sleep(61)
            assert giver.pushed.heard(*push, link)
            await asyncio.sleep(1)

    simulate(tmp_path, story)
