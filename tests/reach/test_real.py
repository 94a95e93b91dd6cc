"""A meeting on real sockets of this machine: what virtual time cannot show is that the kernel plays along."""

import asyncio
from random import Random

from p2pswarm.formats.ids import Address
from p2pswarm.formats.signing import SigningKey
from p2pswarm.net.port import Port
from p2pswarm.net.stream import Stream
from p2pswarm.reach.offers import Nat, Offer, new_session
from p2pswarm.reach.reach import Reach
from p2pswarm.wire.framer import Scratch
from p2pswarm.wire.people.frames import PeopleFramer
from p2pswarm.wire.sniff import Guest
from tests.reach.worlds import Lines, Talk, Welcoming
from tests.support.patience import PATIENCE


async def test_two_on_this_machine_meet() -> None:
    ports = [Port("127.0.0.1", 0, Scratch()) for _ in range(3)]
    places: list[Address] = []

    def welcome(stream: Stream) -> None:
        stream.switch(PeopleFramer(), Welcoming(stream))

    reaches = []
    for n, port in enumerate(ports):
        port.speak_utp(Random(n))
        port.route(Guest.PEOPLE, welcome)
        await port.open()
        reach = Reach(
            port,
            Random(n),
            node=bytes([n] * 16),
            super_nodes=lambda: places,
            serves=lambda n=n: n == 2,  # type: ignore[misc]
        )
        await reach.open()
        reaches.append(reach)
    places.append(Address("127.0.0.1", ports[2].number))
    keys = [SigningKey(bytes([n] * 32)) for n in (1, 2)]
    session, offers = new_session(), list[Offer]()
    for n in (0, 1):
        found = await reaches[n].gather()
        assert found.nat is Nat.NONE
        offers.append(
            Offer.new(keys[n], b"", keys[1 - n].public, found, [], session=session, now=0)
        )
    meetings = [reaches[0].begin(*offers), reaches[1].begin(*reversed(offers))]
    talks = Talk(), Talk()
    try:
        async with asyncio.timeout(PATIENCE):
            streams = await asyncio.gather(
                *(m.stream(Lines(), t) for m, t in zip(meetings, talks, strict=True))
            )
            streams[0].send(b"hello")
            while talks[1].heard != b"hello" or not meetings[0].datagrams:
                await asyncio.sleep(0)
            heard: list[bytes] = []
            while meetings[1].datagrams is None:
                await asyncio.sleep(0)
            meetings[1].datagrams.on_datagram = heard.append
            media = b"P2PM" + bytes(12) + b"M" + bytes(40)
            meetings[0].datagrams.send(media)
            while not heard:
                await asyncio.sleep(0)
        assert heard == [media]
        assert str(meetings[0].path).startswith("direct")
    finally:
        for reach in reaches:
            await reach.close()
        for port in ports:
            await port.close()
        for stream in streams:
            stream.close()
