"""Neighbours that send anything: nothing is raised, nothing grows without bound, and the others go on."""

import asyncio
from random import Random

from hypothesis import given, settings, strategies as st

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.gnutella.links.agreement import Role
from p2pswarm.overlay.gnutella.place.slots import Wish
from p2pswarm.wire.gnutella.bye import Bye
from p2pswarm.wire.gnutella.descriptor import Descriptor, Kind
from p2pswarm.wire.gnutella.hit import QueryHit
from p2pswarm.wire.gnutella.pings import Pong
from p2pswarm.wire.gnutella.push import Push
from p2pswarm.wire.gnutella.qrp import QueryTable, patches
from p2pswarm.wire.gnutella.query import Query, QueryFlags
from p2pswarm.wire.gnutella.results import Result
from p2pswarm.wire.gnutella.vendor import HopsFlow, QueryStatusRequest, QueryStatusResponse
from tests.support.gnutella import Mesh, play

GUIDS = [bytes([number]) * 16 for number in range(4)]
HERE = Address("10.0.0.2", 6346)
SENSIBLE = [
    (Kind.PING, b""),
    (Kind.PONG, Pong(HERE, 1, 1).encode()),
    (Kind.QUERY, Query("blue moon", ("urn:",), flags=QueryFlags.LEAF_GUIDED).encode()),
    (Kind.QUERY, Query("", ("urn:sha1:" + "A" * 32,)).encode()),
    (Kind.HIT, QueryHit(HERE, 1, (Result(1, 2, "blue"),), GUIDS[1]).encode()),
    (Kind.PUSH, Push(GUIDS[1], 0, HERE).encode()),
    (Kind.VENDOR, HopsFlow(3).encode()),
    (Kind.VENDOR, QueryStatusRequest().encode()),
    (Kind.VENDOR, QueryStatusResponse(7).encode()),
    (Kind.BYE, Bye(200, "bye").encode()),
    *[(Kind.ROUTES, message.encode()) for message in patches(None, QueryTable(1 << 16, 12345))],
]
kinds = st.sampled_from([kind for kind, _ in SENSIBLE]) | st.integers(0, 255)
bytes_of_a_header = st.sampled_from([0, 1, 2, 4, 7, 8, 255])


@st.composite
def messages(draw: st.DrawFn) -> Descriptor:
    """A sensible one, or one with a byte too few, too many or another; or nonsense."""
    kind, payload = draw(st.sampled_from(SENSIBLE))
    match draw(st.integers(0, 4)):
        case 0:
            payload = payload[: draw(st.integers(0, len(payload)))]
        case 1 if payload:
            at = draw(st.integers(0, len(payload) - 1))
            payload = payload[:at] + bytes([draw(st.integers(0, 255))]) + payload[at + 1 :]
        case 2:
            kind, payload = draw(kinds), draw(st.binary(max_size=60))
    ttl, hops = draw(bytes_of_a_header), draw(bytes_of_a_header)
    return Descriptor(draw(st.sampled_from(GUIDS)), kind, ttl, hops, payload)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), messages()), max_size=25),
    st.sampled_from([Wish.FLAT, Wish.LEAF, Wish.ULTRAPEER]),
)
def test_whatever_neighbours_say(said: list[tuple[int, Descriptor]], wish: Wish) -> None:
    """The loop of a mesh complains of every exception that comes out of a callback."""
    second = Role.LEAF if wish is Wish.ULTRAPEER else Role.ULTRAPEER
    theirs = [Role.ULTRAPEER, second, Role.ULTRAPEER]

    async def story(mesh: Mesh) -> None:
        servent = mesh.servent("blue moon.ogg")
        await servent.open(wish)
        strangers = [await mesh.stranger().dial(servent, role) for role in theirs]
        guid = servent.ask("green cheese")
        for number, head in said:
            strangers[number].link.tell(head)
        strangers[0].hit(guid, hops=1)
        await asyncio.sleep(5)
        servent.router._routes.check()
        servent.router._pinging.pongs.check()
        servent.hosts.check()
        for link in servent.router.links:
            link.outbox.check()
        servent.router.stop(guid)
        assert servent.life is not None
        assert not servent.life.done()

    play(story)


def test_what_is_odd_in_a_pong_is_not_repeated() -> None:
    async def story(mesh: Mesh) -> None:
        servent = mesh.servent()
        await servent.open()
        one, other = [await mesh.stranger().dial(servent) for _ in range(2)]
        large = {"UP": bytes(9), "DU": b"\x07", "ODD": bytes(9000)}
        odd = Pong(HERE, 1, 1, large).encode()[:-9000] + b"\xc3\x81\xe9\x40"
        one.say(Kind.PONG, Pong(HERE, 1, 1, large).encode(), hops=1)
        one.say(Kind.PONG, odd, hops=1)
        one.say(
            Kind.PONG, Pong(Address("10.7.7.7", 1), 1, 1).encode() + b"\xc3\x81\xe9\x40", hops=1
        )
        await asyncio.sleep(1)
        other.say(Kind.PING, b"", ttl=7)
        await asyncio.sleep(1)
        heard = {pong.address: pong for pong in map(read, other.heard(Kind.PONG))}
        assert set(heard[HERE].ggep) <= {"DU"}
        assert not heard[Address("10.7.7.7", 1)].ggep

    play(story)


def read(head: Descriptor) -> Pong:
    return Pong.read(head.payload)


def test_ten_thousand_guids_and_servents_are_not_kept() -> None:
    async def story(mesh: Mesh) -> None:
        servent = mesh.servent("blue moon.ogg")
        await servent.open()
        one, other = [await mesh.stranger().dial(servent) for _ in range(2)]
        dice = Random(1)
        guid = servent.ask("green cheese")
        await asyncio.sleep(1)
        for number in range(1000):
            for _ in range(60):
                one.ask("nothing", guid=dice.randbytes(16))
                one.hit(guid, servent=dice.randbytes(16), hops=2)
            await asyncio.sleep(1)
            if number == 500:
                honest = other.ask("green cheese")
        servent.router._routes.check()
        assert len(servent.router._routes) <= 50_000
        assert servent.router._routes.back(honest, Kind.QUERY) is not None
        assert len(servent.router.links) == 2

    play(story)


def test_a_neighbour_that_hangs_up_in_the_middle_leaves_nothing() -> None:
    async def story(mesh: Mesh) -> None:
        top = mesh.servent("blue moon.ogg")
        await top.open(Wish.ULTRAPEER)
        for role in (Role.LEAF, Role.ULTRAPEER, Role.PEER) * 5:
            stranger = await mesh.stranger().dial(top, role)
            stranger.ask("green cheese")
            stranger.say(Kind.ROUTES, patches(None, QueryTable())[0].encode())
            await asyncio.sleep(0.5)
            stranger.link.close()
        await asyncio.sleep(200)
        router = top.router
        assert not router.links
        assert not router._questions._questions
        assert not router._interests._readers
        assert not router._interests._told
        assert not top.neighbours._dialed

    play(story)


def test_leaves_that_all_ask_at_once() -> None:
    """Forty leaves, each with ten questions: the ultrapeer carries them, and the others answer."""

    async def story(mesh: Mesh) -> None:
        top, other = mesh.servent(), mesh.servent("blue moon.ogg")
        await top.open(Wish.ULTRAPEER)
        await other.open(Wish.ULTRAPEER, [top.address])
        leaves = [await mesh.stranger().dial(top, Role.LEAF) for _ in range(40)]
        for leaf in leaves:
            for _ in range(10):
                leaf.ask("blue moon")
        await asyncio.sleep(60)
        assert all(len(leaf.heard(Kind.HIT)) == 10 for leaf in leaves)

    play(story)
