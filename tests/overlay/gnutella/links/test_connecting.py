"""Dialing hosts that are not what we hoped for, and roles that change while two greet each other."""

import asyncio

import pytest
from typing_extensions import override

from p2pswarm.errors import NetworkError
from p2pswarm.formats.ids import Address
from p2pswarm.net.stream import Stream
from p2pswarm.overlay.gnutella.links.agreement import (
    Agreement,
    RefusedGreetingError,
    Role,
    Standing,
    Tries,
)
from p2pswarm.overlay.gnutella.links.connecting import dial
from p2pswarm.overlay.gnutella.place import slots
from p2pswarm.overlay.gnutella.place.slots import Wish
from tests.support.gnutella import PORT, Mesh, Stranger, play


class Odd(asyncio.Protocol):
    """A host that says `first` at once, `then` once it has heard something, and may hang up."""

    def __init__(self, first: bytes, then: bytes, hang_up: bool) -> None:
        self._first, self._then, self._hang_up = first, then, hang_up

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=0, low=0)
        transport.write(self._first)

    def get_buffer(self, hint: int) -> memoryview:
        self._buffer = memoryview(bytearray(65536))
        return self._buffer

    def buffer_updated(self, n: int) -> None:
        self._transport.write(self._then)
        self._then = b""
        if self._hang_up:
            self._transport.close()


OK = b"GNUTELLA/0.6 200 OK\r\n"


@pytest.mark.parametrize(
    ("first", "then", "hang_up", "why"),
    [
        (b"", b"", False, "does not answer"),
        (b"", b"", True, "the greeting failed"),
        (b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", False, "not an answer"),
        (b"", b"GNUTELLA OK\n\n", False, "speaks Gnutella 0.4"),
        (b"", b"GNUTELLA/0.6 403 not compressed\r\n\r\n", False, "403 not compressed"),
        (b"", OK + b"X-Ultrapeer: False\r\n\r\n", False, "shielded leaf"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", b"\r\n", False, "the greeting failed"),
    ],
)
def test_who_is_no_neighbour(first: bytes, then: bytes, hang_up: bool, why: str) -> None:
    async def story(mesh: Mesh) -> None:
        host = mesh.host()
        mesh.loop.listeners[host.name, PORT] = lambda: Odd(first, then, hang_up)
        stranger, began = mesh.stranger(), mesh.loop.time()
        standing = Standing(role=Role.LEAF, guid=stranger.guid)
        with pytest.raises(NetworkError, match=why):
            await dial(stranger.port, Address(host.name, PORT), standing, stranger._made)
        assert mesh.loop.time() - began <= 10.1
        await asyncio.sleep(2)
        assert not [each for each in mesh.loop.transports if not each.is_closing()]

    play(story)


def test_who_refuses_names_others() -> None:
    async def story(mesh: Mesh) -> None:
        host = mesh.host()
        refusal = b"GNUTELLA/0.6 204 Shielded leaf node\r\nX-Try-Ultrapeers: 1.2.3.4:5,\r\n\r\n"
        mesh.loop.listeners[host.name, PORT] = lambda: Odd(b"", refusal, True)
        stranger = mesh.stranger()
        standing = Standing(role=Role.LEAF, guid=stranger.guid)
        with pytest.raises(RefusedGreetingError) as caught:
            await dial(stranger.port, Address(host.name, PORT), standing, stranger._made)
        assert caught.value.tries == Tries((Address("1.2.3.4", 5),))

    play(story)


def test_a_link_that_cannot_be_made_any_more_is_none() -> None:
    async def story(mesh: Mesh) -> None:
        servent, stranger = mesh.servent(), mesh.stranger()
        await servent.open()

        def full(stream: Stream, agreement: Agreement) -> None:
            raise RefusedGreetingError(503, "Busy")

        standing = Standing(role=Role.PEER, guid=stranger.guid)
        with pytest.raises(NetworkError, match="503 Busy"):
            await dial(stranger.port, servent.address, standing, full)
        await asyncio.sleep(1)
        assert not servent.router.links

    play(story)


def test_places_that_go_while_two_greet_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(slots.MOST_PEERS, Role.PEER, 1)

    async def story(mesh: Mesh) -> None:
        servent = mesh.servent()
        await servent.open(goal=0)
        strangers = [mesh.stranger() for _ in range(3)]
        dials = [stranger.dial(servent) for stranger in strangers]
        await asyncio.gather(*dials, return_exceptions=True)
        await asyncio.sleep(1)
        assert len(servent.router.links) == 1

    play(story)


def test_a_leaf_that_leads_meanwhile_drops_the_ultrapeer_that_it_dialed() -> None:
    async def story(mesh: Mesh) -> None:
        top, node = mesh.servent(), mesh.servent()
        await top.open(Wish.ULTRAPEER)
        top.host.delay = 0.5
        await node.open(Wish.AUTO, [top.address])
        await asyncio.sleep(0.6)  # it has said that it is a leaf
        await mesh.stranger().dial(node, Role.LEAF)
        assert node.router.role is Role.ULTRAPEER
        await mesh.until(lambda: top.host.name in node.neighbours_of)
        assert [link.theirs for link in top.router.links] == [Role.ULTRAPEER]
        assert all(link.agreement.ours is Role.ULTRAPEER for link in node.router.links)

    play(story)


def test_two_connections_of_one_node_at_one_moment() -> None:
    async def story(mesh: Mesh) -> None:
        servent, stranger = mesh.servent(), mesh.stranger()
        await servent.open(goal=0)
        again = Stranger(mesh, stranger.host)
        again.guid = stranger.guid
        dials = [stranger.dial(servent), again.dial(servent)]
        await asyncio.gather(*dials, return_exceptions=True)
        await asyncio.sleep(1)
        assert len(servent.router.links) == 1

    play(story)
