"""Whole nodes, everything joined: what is shared is found and fetched, in every way there is."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha1
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from p2pswarm.errors import HashMismatchError, NetworkError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.urns import sha1_urn
from p2pswarm.net.port import Port
from p2pswarm.node import Node
from p2pswarm.overlay.files.serving import Offer
from p2pswarm.overlay.gnutella.links.agreement import Role
from p2pswarm.overlay.gnutella.udp.claims import asking_for_offers
from p2pswarm.overlay.network import Cost
from p2pswarm.overlay.query import Digest, Hit, Lookup, Query as Wanted
from p2pswarm.swarm.events import Seeding
from p2pswarm.swarm.torrent import Torrent
from p2pswarm.wire.gnutella.descriptor import (
    Descriptor,
    DescriptorFramer,
    Kind,
    new_guid,
    oob_address,
    read_datagram,
)
from p2pswarm.wire.gnutella.hit import QueryHit
from p2pswarm.wire.gnutella.pings import Ping, Pong, pong_ggep
from p2pswarm.wire.gnutella.query import Query, QueryFlags
from p2pswarm.wire.gnutella.results import Result
from p2pswarm.wire.gnutella.vendor import (
    OobAck,
    OobHits,
    QueryStatusRequest,
    QueryStatusResponse,
    TcpConnectBack,
    UdpConnectBack,
    read_vendor,
)
from p2pswarm.wire.sniff import DatagramGuest
from tests.support.feeding import feed
from tests.support.gnutella import Stranger
from tests.support.members import address_of, exchange_of, finds, gnutella_of, member, put
from tests.support.servent import PORT, dial, listening, value
from tests.support.world import World, simulate

SONG = Random(7).randbytes(1_300_000)
LONG = Random(8).randbytes(9_000_000)  # without a torrent a file is checked by the MiB


def loose(hits: Sequence[Hit]) -> list[Hit]:
    """As programs that know no torrents tell them."""
    return [replace(hit, info_hash=None, peer=None) for hit in hits]


def descriptors(data: bytes) -> list[Descriptor]:
    return [each for each in feed(DescriptorFramer(), data) if isinstance(each, Descriptor)]


async def ear(world: World) -> tuple[Port, list[tuple[bytes, Address]]]:
    """A host without manners for datagrams, and what it hears."""
    heard: list[tuple[bytes, Address]] = []
    door = Port(world.host().name, PORT)
    door.route_datagrams(DatagramGuest.GNUTELLA, lambda *told: heard.append(told))
    await door.open()
    return door, heard


async def seeding(world: World, torrent: Torrent, seconds: float = 120.0) -> None:
    await world.until(lambda: isinstance(torrent.state, Seeding), seconds)


@pytest.mark.parametrize("lookup", list(Lookup))
@pytest.mark.parametrize("plain", [False, True])
def test_what_a_leaf_shares_another_leaf_fetches(
    tmp_path: Path, lookup: Lookup, plain: bool
) -> None:
    async def story(world: World) -> None:
        top = await member(world, gnutella_role="ultrapeer")
        await member(world, {"Déjà vu.ogg": SONG}, top, gnutella_role="leaf")
        taker = await member(world, None, top, gnutella_role="leaf")
        await asyncio.sleep(30)
        (find,) = await finds(taker, "deja vu", lookup=lookup)
        (hit,) = find.hits
        assert hit.info_hash
        got = await taker.download(loose([hit]) if plain else find, save_to=world.folder / "got")
        await seeding(world, got)
        assert (world.folder / "got" / "Déjà vu.ogg").read_bytes() == SONG

    simulate(tmp_path, story)


def test_a_torrent_that_a_liar_made_does_not_stand_against_the_sha1(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        top = await member(world, gnutella_role="ultrapeer")
        await member(world, {"blue moon.ogg": SONG}, top, gnutella_role="leaf")
        taker = await member(world, None, top, gnutella_role="leaf")
        await asyncio.sleep(30)
        (find,) = await finds(taker, "blue moon")
        lies = [replace(hit, sha1=sha1(b"what was looked for").digest()) for hit in find.hits]
        got = await taker.download(lies, save_to=world.folder / "got")
        with pytest.raises(HashMismatchError, match="its SHA-1 is another"):
            await got.finished()

    simulate(tmp_path, story)


def test_who_fetches_from_a_slow_host_gives_its_parts_to_the_next_one(tmp_path: Path) -> None:
    """Who has a part is told of in X-Alt, and gives it on while it fetches the others."""

    async def story(world: World) -> None:
        slow = world.host(up=50_000)
        top = await member(world, gnutella_role="ultrapeer")
        await member(world, {"blue moon.ogg": LONG}, top, host=slow, gnutella_role="leaf")
        takers = [await member(world, None, top, gnutella_role="leaf") for _ in range(2)]
        await asyncio.sleep(10)
        found = [await finds(taker, "blue moon") for taker in takers]
        got = []
        for number, (taker, (find,)) in enumerate(zip(takers, found, strict=True)):
            folder = world.folder / f"got{number}"
            got.append(await taker.download(loose(find.hits), save_to=folder))
            await asyncio.sleep(60)
        guest = await dial(world, address_of(takers[0]))
        head, _ = await guest.ask(f"/uri-res/N2R?{sha1_urn(sha1(LONG).digest())}", method="HEAD")
        assert (value(head, "X-Available-Ranges") or "").startswith("bytes 0-")
        for torrent in got:
            await seeding(world, torrent, 900)
        assert world.loop.hosts[takers[0].settings.bind].sent > len(LONG) / 4
        assert slow.sent < 1.8 * len(LONG)
        assert [len(torrent.sources) for torrent in got] == [2, 2]  # each host once

    simulate(tmp_path, story)


def test_who_cannot_be_dialed_is_pushed_along_the_way_of_its_hit(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        top = await member(world, gnutella_role="ultrapeer")
        files = {"blue moon.ogg": SONG}
        await member(world, files, top, gnutella_role="leaf", firewalled=True)
        taker = await member(world, None, top, gnutella_role="leaf")
        await asyncio.sleep(10)
        (find,) = await finds(taker, "blue moon")
        assert find.hits[0].firewalled
        assert find.hits[0].proxies == (address_of(top),)
        await seeding(world, await taker.download(find, save_to=world.folder / "got"))

    simulate(tmp_path, story)


def test_a_push_proxy_brings_a_push_when_no_way_is_known(tmp_path: Path) -> None:
    """Who fetches on another day, or in another part of the network, has a hit and no route."""

    async def story(world: World) -> None:
        top, elsewhere = [await member(world, gnutella_role="ultrapeer") for _ in range(2)]
        files = {"blue moon.ogg": SONG}
        await member(world, files, top, gnutella_role="leaf", firewalled=True)
        asker = await member(world, None, top, gnutella_role="leaf")
        await asyncio.sleep(10)
        (find,) = await finds(asker, "blue moon")
        taker = await member(world, None, elsewhere, gnutella_role="leaf")
        assert not await finds(taker, "blue moon")
        got = await taker.download(loose(find.hits), save_to=world.folder / "got")
        await seeding(world, got)

    simulate(tmp_path, story)


def test_where_its_push_proxies_have_gone_a_host_is_looked_for_again(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        top = await member(world, gnutella_role="ultrapeer")
        files = {"blue moon.ogg": SONG}
        await member(world, files, top, gnutella_role="leaf", firewalled=True)
        taker = await member(world, None, top, gnutella_role="leaf")
        await asyncio.sleep(10)
        (find,) = await finds(taker, "blue moon")
        gone = (Address(world.host().name, PORT),)
        hits = [replace(hit, proxies=gone) for hit in loose(find.hits)]
        other = await member(world, None, top, gnutella_role="leaf")  # it has seen no hit
        await asyncio.sleep(10)
        await seeding(world, await other.download(hits, save_to=world.folder / "got"))

    simulate(tmp_path, story)


@pytest.mark.parametrize("accept", ["text/html", "text/html, application/x-gnutella-packets"])
def test_whoever_browses_sees_all_files(tmp_path: Path, accept: str) -> None:
    async def story(world: World) -> None:
        files = {f"Music/number {n}.ogg": bytes([n]) for n in range(40)}
        giver = await member(world, files, gnutella_role="ultrapeer")
        guest = await dial(world, address_of(giver))
        head, body = await guest.ask("/", f"Accept: {accept}")
        assert head.startswith("HTTP/1.1 200 ")
        if "packets" in accept:
            assert value(head, "Content-Type") == "application/x-gnutella-packets"
            hits = [QueryHit.read(each.payload) for each in descriptors(body)]
            names = sorted(result.name for hit in hits for result in hit.results)
            assert all("BH" in hit.ggep for hit in hits)
        else:
            assert (value(head, "Content-Type") or "").startswith("text/html")
            names = sorted(re.findall(r">[^<]*/([^<]*)</a>", body.decode()))
        assert names == sorted(name.partition("/")[2] for name in files)

    simulate(tmp_path, story)


def test_a_stranger_that_pings_by_udp_hears_who_else_is_there(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        first = await member(world, gnutella_role="ultrapeer")
        second = await member(world, None, first, gnutella_role="ultrapeer")
        await asyncio.sleep(1)
        door, heard = await ear(world)
        ping = Descriptor(new_guid(Random(1)), Kind.PING, 1, 0, Ping.asking(hosts=True).encode())
        door.send_datagram(ping.encode(), address_of(first))
        await world.until(lambda: heard)
        (pong,) = [Pong.read(read_datagram(data).payload) for data, _ in heard]
        assert pong.ultrapeer
        assert pong.hosts == (address_of(second),)
        await door.close()

    simulate(tmp_path, story)


def test_who_only_knows_a_host_cache_gets_in(tmp_path: Path) -> None:
    """It speaks UDP alone, and names the ultrapeer."""

    async def story(world: World) -> None:
        top = await member(world, gnutella_role="ultrapeer")
        door, _ = await ear(world)

        def answer(data: bytes, sender: Address) -> None:
            ping = read_datagram(data)
            if ping.kind != Kind.PING or not Ping.read(ping.payload).wants_hosts:
                return
            ggep = pong_ggep(hosts=[address_of(top)])
            pong = Pong(Address(door.host, door.number), 0, 0, ggep).encode()
            door.send_datagram(Descriptor(ping.guid, Kind.PONG, 1, 0, pong).encode(), sender)

        door.route_datagrams(DatagramGuest.GNUTELLA, answer)
        cache = Address(door.host, door.number)
        node = await member(world, named=[cache], join=False, gnutella_role="leaf")
        await node.networks.join("gnutella")
        assert gnutella_of(node).status().links == 1
        await door.close()

    simulate(tmp_path, story)


def test_who_was_in_gets_in_again_by_what_it_remembers(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        host = world.host()
        top = await member(world, gnutella_role="ultrapeer")
        node = await member(world, None, top, host=host, gnutella_role="leaf")
        await node.aclose()
        world.nodes.remove(node)
        again = await member(world, host=host, gnutella_role="leaf")
        assert gnutella_of(again).status().links == 1

    simulate(tmp_path, story)


def test_a_neighbour_that_asks_is_dialed(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        top = await member(world, gnutella_role="ultrapeer")
        async with listening(world) as (address, came):
            asker = Stranger(world, world.loop.hosts[address.host])  # type: ignore[arg-type]
            await asker.dial(SimpleNamespace(address=address_of(top)))  # type: ignore[arg-type]
            asker.say(Kind.VENDOR, TcpConnectBack(address.port).encode())
            stranger = await came.get()
            await stranger.hung_up()
            assert stranger.heard == b"\n\n"
            asker.link.close()

    simulate(tmp_path, story)


async def by_hand(world: World, node: Node) -> Stranger:
    """An ultrapeer as its neighbour, that says what the test wants it to say."""
    neighbour = Stranger(world, world.host())  # type: ignore[arg-type]
    return await neighbour.dial(SimpleNamespace(address=address_of(node)), Role.ULTRAPEER)  # type: ignore[arg-type]


async def reached(world: World, node: Node, neighbour: Stranger, door: Port) -> None:
    """The node asks its neighbour whether datagrams reach it; one comes, from somebody it never wrote to."""

    def tests() -> list[UdpConnectBack]:
        said = [read_vendor(head.payload) for head in neighbour.heard(Kind.VENDOR)]
        return [message for message in said if isinstance(message, UdpConnectBack)]

    await world.until(tests)
    guid = tests()[0].guid
    assert guid
    door.send_datagram(Descriptor(guid, Kind.PING, 1, 0, b"").encode(), address_of(node))
    await world.until(lambda: gnutella_of(node)._servent._udp.probing.reachable)


def test_whether_datagrams_reach_us_is_tried_until_it_is_known(tmp_path: Path) -> None:
    """Who was asked for hosts by UDP proves nothing for ten minutes: what it sends may be an answer."""

    async def story(world: World) -> None:
        top = await member(world, gnutella_role="ultrapeer")
        node = await member(world, None, top, gnutella_role="leaf")
        probing = gnutella_of(node)._servent._udp.probing
        await asyncio.sleep(300)
        assert not probing.reachable
        await asyncio.sleep(400)
        assert probing.reachable
        await asyncio.sleep(3700)
        assert probing.reachable  # found out anew

    simulate(tmp_path, story)


def test_our_hits_go_by_udp_to_who_wants_that(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        giver = await member(world, {"blue moon.ogg": SONG}, gnutella_role="leaf")
        door, heard = await ear(world)
        neighbour = await by_hand(world, giver)
        await reached(world, giver, neighbour, door)
        await asyncio.sleep(1)
        heard.clear()
        here = Address(door.host, door.number)
        query, guid = asking_for_offers(Query("blue moon"), here, Random(1))
        neighbour.say(Kind.QUERY, query.encode(), hops=2, ttl=1, guid=guid)
        await world.until(lambda: heard)
        offer = read_datagram(heard.pop()[0])
        assert (offer.guid, read_vendor(offer.payload)) == (guid, OobHits(1, True, 3))
        ack = Descriptor(guid, Kind.VENDOR, 1, 0, OobAck(1, b"token").encode())
        door.send_datagram(ack.encode(), address_of(giver))
        await world.until(lambda: heard)
        hit = QueryHit.read(read_datagram(heard.pop()[0]).payload)
        assert (hit.token, hit.address) == (b"token", address_of(giver))
        assert not neighbour.heard(Kind.HIT)
        neighbour.link.close()
        await door.close()

    simulate(tmp_path, story)


def test_hits_for_us_by_udp_are_asked_for_and_taken_from_who_was_asked(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        asker = await member(world, gnutella_role="leaf")
        door, heard = await ear(world)
        neighbour = await by_hand(world, asker)
        await reached(world, asker, neighbour, door)
        searching = asyncio.ensure_future(finds(asker, "blue moon"))
        await world.until(lambda: neighbour.heard(Kind.QUERY))
        (query,) = neighbour.heard(Kind.QUERY)
        assert QueryFlags.OOB in Query.read(query.payload).flags
        assert oob_address(query.guid) == address_of(asker)
        heard.clear()
        offer = Descriptor(query.guid, Kind.VENDOR, 1, 0, OobHits(1).encode())
        door.send_datagram(offer.encode(), address_of(asker))
        await world.until(lambda: heard)
        ack = read_vendor(read_datagram(heard.pop()[0]).payload)
        assert isinstance(ack, OobAck)
        assert ack.token
        results = (Result(1, 1000, "blue moon.mp3"),)
        here = Address(door.host, door.number)
        for token in (b"guessed", ack.token):
            hit = QueryHit(here, 1, results, bytes(16), ggep={"SO": token})
            door.send_datagram(
                Descriptor(query.guid, Kind.HIT, 1, 0, hit.encode()).encode(), address_of(asker)
            )
        await asyncio.sleep(0.5)
        neighbour.say(Kind.VENDOR, QueryStatusRequest().encode(), guid=query.guid)
        (find,) = await searching
        assert [each.host for each in find.hits] == [here]
        said = [read_vendor(head.payload) for head in neighbour.heard(Kind.VENDOR)]
        assert QueryStatusResponse(1) in said
        neighbour.link.close()
        await door.close()

    simulate(tmp_path, story)


def test_who_finds_nobody_says_so_and_goes_on_trying(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        host = world.host()
        node = await member(world, named=[Address(host.name, PORT)], join=False)
        with pytest.raises(NetworkError, match="no Gnutella host lets us in"):
            await node.networks.join("gnutella")
        with pytest.raises(NetworkError, match="nobody to ask"):
            await gnutella_of(node)._servent.search(Wanted(("blue",)), Cost()).__anext__()
        assert await finds(node, "blue") == []
        await member(world, {"blue moon.ogg": SONG}, host=host, gnutella_role="ultrapeer")
        await world.until(lambda: gnutella_of(node).status().links, 300)

    simulate(tmp_path, story)


def test_who_leaves_says_goodbye_and_may_come_back(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        top = await member(world, gnutella_role="ultrapeer")
        line = world.host()  # on which a last word is gone at once
        files = {"blue moon.ogg": SONG}
        node = await member(world, files, top, host=line, gnutella_role="leaf")
        asker = await member(world, None, top, gnutella_role="leaf")
        for _ in range(2):
            await gnutella_of(node).leave()
        await asyncio.sleep(5)
        assert gnutella_of(top).status().leaves == 1
        assert gnutella_of(top).status().received["bye"] == 1
        assert await finds(asker, "blue moon") == []
        await node.networks.join("gnutella")
        await asyncio.sleep(5)
        assert len(await finds(asker, "blue moon")) == 1

    simulate(tmp_path, story)


def test_who_joins_twice_at_once_is_in_once(tmp_path: Path) -> None:
    def lives() -> int:
        return sum("Gnutella._live" in str(task.get_coro()) for task in asyncio.all_tasks())

    async def story(world: World) -> None:
        top = await member(world, gnutella_role="ultrapeer")
        node = await member(world, None, top, gnutella_role="leaf", join=False)
        async with node._port._datagrams._opening:
            joining = [asyncio.create_task(node.networks.join("gnutella")) for _ in range(3)]
            await asyncio.sleep(1)
        await asyncio.gather(*joining)
        assert lives() == 2
        await gnutella_of(node).leave()
        assert lives() == 1

    simulate(tmp_path, story)


def test_who_leaves_while_it_joins_is_not_in(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        top = await member(world, gnutella_role="ultrapeer")
        node = await member(world, None, top, gnutella_role="leaf", join=False)
        async with node._port._datagrams._opening:
            joining = asyncio.create_task(node.networks.join("gnutella"))
            await asyncio.sleep(1)
            await gnutella_of(node).leave()
        with pytest.raises(NetworkError, match="we left"):
            await joining
        assert gnutella_of(top).status().leaves == 0
        await node.networks.join("gnutella")
        await asyncio.sleep(1)
        assert gnutella_of(top).status().leaves == 1

    simulate(tmp_path, story)


def test_a_disk_that_hangs_does_not_hold_who_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(*job: object) -> None:
        await asyncio.Event().wait()

    async def story(world: World) -> None:
        node = await member(world, gnutella_role="ultrapeer")
        await asyncio.sleep(1)
        monkeypatch.setattr(gnutella_of(node)._servent._file, "_disk", SimpleNamespace(run=hang))
        async with asyncio.timeout(1):
            await gnutella_of(node).leave()

    simulate(tmp_path, story)


def test_what_is_shared_later_is_found_later_and_only_once_shared(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        top = await member(world, gnutella_role="ultrapeer")
        node = await member(world, None, top, gnutella_role="leaf")
        asker = await member(world, None, top, gnutella_role="leaf")
        assert await finds(asker, "blue moon") == []
        await node.networks.share([put(world.folder / "late", {"blue moon.ogg": SONG})])
        await asyncio.sleep(70)
        assert len(await finds(asker, "blue moon")) == 1
        with pytest.raises(asyncio.InvalidStateError):
            gnutella_of(node).share(node.networks.catalog)  # type: ignore[arg-type]

    simulate(tmp_path, story)


@pytest.mark.parametrize("digest", ["sha1", "btih"])
def test_a_file_is_found_by_its_hash(tmp_path: Path, digest: str) -> None:
    async def story(world: World) -> None:
        top = await member(world, gnutella_role="ultrapeer")
        await member(world, {"blue moon.ogg": SONG}, top, gnutella_role="leaf")
        asker = await member(world, None, top, gnutella_role="leaf")
        await asyncio.sleep(10)
        (find,) = await finds(asker, "blue moon")
        wanted = Digest(digest, find.known[digest])
        (again,) = await finds(asker, "", digest=wanted)
        assert again.known[digest] == wanted.value
        assert await finds(asker, "", digest=Digest(digest, bytes(20))) == []

    simulate(tmp_path, story)


def lie(node: Node) -> None:
    """Of what it gives of its files, what is far from the beginning is wrong."""
    serving = exchange_of(node)._serving
    honest = serving._file

    async def file(*asked: Any) -> Offer:
        offer = await honest(*asked)
        read = offer.gift.read

        async def wrong(at: int, buffer: memoryview) -> None:
            await read(at, buffer)
            if at > len(LONG) // 3:
                buffer[0] ^= 1

        return replace(offer, gift=SimpleNamespace(size=offer.gift.size, large=True, read=wrong))  # type: ignore[arg-type]

    serving._file = file  # type: ignore[method-assign]


def test_who_changes_a_byte_is_found_out_by_the_tree_and_not_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(world: World) -> None:
        top = await member(world, gnutella_role="ultrapeer")
        honest = await member(
            world, {"blue moon.ogg": LONG}, top, host=world.host(up=1e6), gnutella_role="leaf"
        )
        liar = await member(world, {"blue moon.ogg": LONG}, top, gnutella_role="leaf")
        taker = await member(world, None, top, gnutella_role="leaf")
        await asyncio.sleep(10)
        (find,) = await finds(taker, "blue moon")
        assert len(find.hits) == 2
        lie(liar)
        got = await taker.download(loose(find.hits), save_to=world.folder / "got")
        await seeding(world, got)
        assert (world.folder / "got" / "blue moon.ogg").read_bytes() == LONG
        mesh, now = exchange_of(taker).mesh, asyncio.get_running_loop().time()
        assert mesh.good(sha1(LONG).digest(), now) == [address_of(honest)]
        assert mesh.bad(sha1(LONG).digest(), now) == [address_of(liar)]

    simulate(tmp_path, story)
    assert "do not match the tiger tree" in caplog.text


@pytest.mark.parametrize("served", [True, False])
def test_gnutella_04_is_an_option(tmp_path: Path, served: bool) -> None:
    async def story(world: World) -> None:
        files = {"blue moon.ogg": SONG}
        node = await member(world, files, flood=True, gnutella_04=served)
        old = await dial(world, address_of(node))
        old.say("GNUTELLA CONNECT/0.4\n\n")
        if not served:
            await old.hung_up()
            assert old.heard == b""
            return
        assert await old.line() == "GNUTELLA OK"
        guid = new_guid(Random(1))
        for kind, payload in ((Kind.PING, b""), (Kind.QUERY, b"\0\0blue moon\0")):
            old.say(Descriptor(guid, kind, 7, 0, payload).encode())
        await asyncio.sleep(2)
        heard = {head.kind: head.payload for head in descriptors(old.heard)}
        assert Pong.read(heard[Kind.PONG]).address == address_of(node)
        assert QueryHit.read(heard[Kind.HIT]).results[0].name == "blue moon.ogg"

    simulate(tmp_path, story)
