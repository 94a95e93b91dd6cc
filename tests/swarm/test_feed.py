"""The swarm of a feed in virtual time: followers among strangers, liars, and a publisher who lies."""

from pathlib import Path

import pytest

from p2pswarm.errors import HostError
from p2pswarm.formats.feed import Entry
from p2pswarm.formats.feed_log import Log
from p2pswarm.formats.ids import Address, PeerId
from p2pswarm.node import Node
from p2pswarm.swarm.feed import FeedSwarm
from p2pswarm.wire.extension.feed import FeedEntries, FeedHead, FeedMessage, FeedProof, read_feed
from p2pswarm.wire.extension.handshake import ExtendedHandshake
from p2pswarm.wire.extension.numbers import FEED, NUMBERS
from p2pswarm.wire.peer import Extended, KeepAlive, Request
from tests.support.feeds import Publisher
from tests.support.stranger import PLAIN, Stranger
from tests.support.world import Host, World, simulate

ALICE = Publisher(1)
THEIR_NUMBER = 42
LIAR = PeerId(b"-XX0001-abcdefghijkl")


def follow(node: Node, log: Log, *others: Host) -> FeedSwarm:
    peers = [Address(each.name, 46881) for each in others]
    return node.feeds.open(log, lambda: None, peers)


async def meet(world: World, host: Host, node: Node) -> Stranger:
    """One in the swarm of Alice's feed, who does as the test says."""
    stranger = await Stranger.meet(world, host, node, ALICE.name.info_hash, peer_id=LIAR)
    stranger.send(Extended(0, ExtendedHandshake({FEED: THEIR_NUMBER}).encode()))
    return stranger


def say(stranger: Stranger, *messages: FeedMessage) -> None:
    stranger.send(*(Extended(NUMBERS[FEED], each.encode()) for each in messages))


def heard(stranger: Stranger) -> list[object]:
    mine = (each for each in stranger.all(Extended) if each.id == THEIR_NUMBER)
    return [read_feed(each.payload) for each in mine]


def raws(entries: list[Entry]) -> list[bytes]:
    return [each.raw for each in entries]


def test_a_feed_goes_from_follower_to_follower_while_its_publisher_is_away(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        hosts = [world.host(delay=0.1) for _ in range(4)]
        publisher, *followers = [await world.node(host) for host in hosts]
        alice = follow(publisher, ALICE.log(50))
        first = follow(followers[0], Log(ALICE.name), hosts[0])
        await world.until(lambda: len(first.log.entries) == 50)
        news = ALICE.entry(alice.log.head)
        alice.log.add(news)
        alice.tell()
        await world.until(lambda: first.log.head == news, 1)
        world.unplug(hosts[0])
        second = follow(followers[1], Log(ALICE.name), hosts[1])
        third = follow(followers[2], Log(ALICE.name), hosts[2])
        await world.until(lambda: len(third.log.entries) == 51)
        assert second.log.entries == third.log.entries == alice.log.entries

    simulate(tmp_path, story)


@pytest.mark.parametrize("encryption", ["off", "require"])
def test_followers_find_each_other_under_the_key(tmp_path: Path, encryption: str) -> None:
    async def story(world: World) -> None:
        hosts = [world.host(delay=0.1) for _ in range(5)]
        one = (Address(hosts[0].name, 46881),)
        settings = {"dht": True, "dht_bootstrap": one, "encryption": encryption}
        nodes = [await world.node(host, **settings) for host in hosts]
        follow(nodes[1], ALICE.log(3))
        late = follow(nodes[2], Log(ALICE.name))
        await world.until(lambda: len(late.log.entries) == 3, 200)

    simulate(tmp_path, story)


def test_a_publisher_who_tells_two_stories_is_found_out_by_all(tmp_path: Path) -> None:
    """Each of two followers has a chain that is right; neither can know, until they meet."""

    async def story(world: World) -> None:
        hosts = [world.host(delay=0.1) for _ in range(3)]
        nodes = [await world.node(host) for host in hosts]
        other = Log(ALICE.name)
        for entry in ALICE.entries(3, what="other"):
            other.add(entry)
        one, two = follow(nodes[0], ALICE.log(3)), follow(nodes[1], other, hosts[0])
        await world.until(lambda: one.log.proof and two.log.proof, 5)
        assert len(one.log.entries) == 3  # nothing of it is forgotten
        late = follow(nodes[2], Log(ALICE.name), hosts[1])
        await world.until(lambda: late.log.proof, 5)
        assert late.log.entries == []

    simulate(tmp_path, story)


def test_a_follower_who_withholds_entries_is_left_for_another(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        here, bad, good = (world.host(delay=0.1) for _ in range(3))
        node = await world.node(here)
        swarm, full = follow(node, Log(ALICE.name)), ALICE.log(5)
        liar = await meet(world, bad, node)
        say(liar, FeedHead(full.entries[-1].raw))
        await liar.until(lambda: len(heard(liar)) == 1)
        assert swarm.log.newest == full.head  # it is signed, so the others exist
        say(liar, FeedEntries([]))
        await world.until(lambda: swarm.sync.missing_since, 5)
        follow(await world.node(good), full, here)
        await world.until(lambda: swarm.log.head == full.head, 5)
        assert not liar.over  # perhaps it has no more than that

    simulate(tmp_path, story)


@pytest.mark.parametrize(
    "lie",
    [
        FeedHead(Publisher(2).entry().raw),
        FeedHead(b"junk"),
        FeedEntries(raws(ALICE.entries(2))),
        FeedProof((ALICE.entry().raw, ALICE.entry().raw)),
    ],
)
def test_a_follower_who_lies_is_banned(tmp_path: Path, lie: FeedMessage) -> None:
    async def story(world: World) -> None:
        here, bad = world.host(), world.host()
        node = await world.node(here)
        swarm = follow(node, ALICE.log(2))
        liar = await meet(world, bad, node)
        say(liar, lie)
        await liar.dropped(5)
        assert swarm.finding.book.is_banned(Address(bad.name, 1), LIAR)
        again = await meet(world, bad, node)
        await again.dropped(5)
        assert swarm.log.proof is None
        assert len(swarm.log.entries) == 2
        assert not swarm.peers

    simulate(tmp_path, story)


def test_who_has_nothing_to_say_of_feeds_is_dropped(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        node = await world.node(world.host())
        follow(node, ALICE.log(1))
        for hello in (ExtendedHandshake({"ut_pex": 1}), ExtendedHandshake()):
            stranger = await Stranger.meet(world, world.host(), node, ALICE.name.info_hash)
            stranger.send(Extended(0, hello.encode()))
            await stranger.dropped(5)
        asker = await meet(world, world.host(), node)
        asker.send(Request(0, 0, 16384))
        await asker.dropped(5)
        plain = await Stranger.meet(world, world.host(), node, ALICE.name.info_hash, reserved=PLAIN)
        await plain.dropped(200)  # silent

    simulate(tmp_path, story)


def test_a_torrent_does_not_speak_of_feeds(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(20_000)
        node = await world.node(world.host())
        await (await node.add(meta, data=folder)).finished()
        stranger = await Stranger.meet(world, world.host(), node, meta.info_hash)
        hello = ExtendedHandshake.decode((await stranger.hears(Extended)).payload)
        assert not hello.number(FEED)

    simulate(tmp_path, story)


def test_a_feed_is_followed_once_and_ends_with_its_node(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        node = await world.node(world.host())
        swarm = follow(node, ALICE.log(1))
        with pytest.raises(HostError):
            follow(node, ALICE.log(1))
        stranger = await meet(world, world.host(), node)
        assert node._places.taken == 1
        await node.feeds.close(swarm)
        await node.feeds.close(swarm)
        await stranger.dropped(5)
        assert node._places.taken == 0
        assert not node.feeds.swarms
        follow(node, ALICE.log(1))

    simulate(tmp_path, story)


def test_a_flood_of_messages_ends_the_connection(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        node = await world.node(world.host())
        log = ALICE.log(1)
        follow(node, log)
        stranger = await meet(world, world.host(), node)
        say(stranger, *[FeedHead(log.entries[0].raw)] * 4000)
        stranger.send(KeepAlive())
        await stranger.dropped(5)

    simulate(tmp_path, story)
