"""A machine walks into another network: what began at an address that is gone ends, on virtual time."""

import asyncio

import pytest

from p2pswarm.errors import NetworkError
from p2pswarm.formats.ids import Address
from p2pswarm.lab.loop import VirtualLoop, play
from p2pswarm.net.stream import Stream
from p2pswarm.net.whereabouts import EVERY, Whereabouts


class Told:
    """A conversation that notes how it ended."""

    def __init__(self) -> None:
        self.why: list[Exception | None] = []

    def got(self, message: object) -> None: ...

    def caught_up(self) -> None: ...

    def drained(self) -> None: ...

    def closed(self, reason: Exception | None) -> None:
        self.why.append(reason)


class Nothing:
    """A framer that is fed nothing."""

    def get_buffer(self, hint: int = -1) -> memoryview:
        return memoryview(bytearray(1))

    def received(self, n: int) -> list[object]:
        return []

    def unread(self) -> bytes:
        return b""


def stream(here: str) -> tuple[Stream, Told]:
    told = Told()
    made = Stream(Nothing(), told)
    made.local = Address(here, 1)
    return made, told


def test_what_began_at_an_address_that_is_gone_ends() -> None:
    async def story(loop: VirtualLoop) -> None:
        ours, moved = ["192.168.1.2", "2001:db8::1", "2001:db8::2"], list[float]()
        whereabouts = Whereabouts(lambda: ours)
        whereabouts.moved = lambda: moved.append(loop.time())
        whereabouts.begin()
        streams = {here: stream(here) for here in (*ours, "127.0.0.1", "10.0.0.9")}
        for made, _ in streams.values():
            whereabouts.watch(made)
        ours[:] = ["2001:db8::1", "10.0.0.9", "2001:db8::3"]
        await asyncio.sleep(3 * EVERY)
        over = [here for here, (made, _) in streams.items() if made.over]
        assert over == ["192.168.1.2", "2001:db8::2"]
        assert [type(why) for here in over for why in streams[here][1].why] == [NetworkError] * 2
        assert moved == [EVERY]  # once
        ours.append("10.0.0.10")  # one more is nothing to end for
        await asyncio.sleep(3 * EVERY)
        whereabouts.end()
        whereabouts.end()
        ours.clear()
        await asyncio.sleep(3 * EVERY)
        assert moved == [EVERY]

    play(story)


@pytest.mark.parametrize("gone", [True, False])
def test_connections_of_a_port_are_watched(gone: bool) -> None:
    from p2pswarm.net.port import Port

    async def story(loop: VirtualLoop) -> None:
        for host in ("20.0.0.1", "20.0.0.2"):
            loop.host(host)
        near, far = Port("20.0.0.1", 46881), Port("20.0.0.2", 46881)
        await near.open()
        await far.open()
        told = Told()
        dialed = await near.dial(Address("20.0.0.2", 46881), Nothing(), told)
        punched = await near.dial_from(0, Address("20.0.0.2", 46881), Nothing(), Told())
        if gone:
            near._hosts = ("20.0.0.9",)
        near.whereabouts.look()
        assert [dialed.over, punched.over] == [gone, gone]
        for each in (dialed, punched):
            each.close()
        await near.close()
        await far.close()

    play(story)
