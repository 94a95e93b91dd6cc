"""A machine that stood still for some seconds took everybody for gone: the stream of a call, and the channels
through relays, were given up for a silence in which it could hear nobody.
"""

import asyncio

from p2pswarm.calling.line import SILENT_AFTER
from p2pswarm.lab.loop import VirtualLoop
from p2pswarm.reach.channel import SILENCE
from tests.calling.test_line import Ends, told
from tests.support.relaying import Street, on_a_street


def test_a_call_keeps_its_stream() -> None:
    async def story(ends: Ends, loop: VirtualLoop) -> None:
        for _ in range(3):
            await asyncio.sleep(2)
            loop.now += 2 * SILENT_AFTER
        await asyncio.sleep(2)
        assert len(ends.ways.made) == 1

    told(story)


def test_who_is_gone_meanwhile_is_missed_all_the_same() -> None:
    async def story(ends: Ends, loop: VirtualLoop) -> None:
        await asyncio.sleep(2)
        ends.ways.hosts[1].online = False
        loop.now += 2 * SILENT_AFTER
        await asyncio.sleep(SILENT_AFTER + 2)
        ends.ways.hosts[1].online = True
        await asyncio.sleep(SILENT_AFTER + 2)
        assert len(ends.ways.made) == 2

    told(story)


def test_a_channel_stays() -> None:
    async def story(street: Street) -> None:
        at, session = street.super.at, bytes(16)
        ann, bob = street.ann, street.bob
        one, other = await asyncio.gather(
            ann.relays.channel(at, session, bob.key.public),
            bob.relays.channel(at, session, ann.key.public),
        )
        for _ in range(3):
            await asyncio.sleep(2)
            street.loop.now += 2 * SILENCE
        await asyncio.sleep(2)
        assert one.why is other.why is None

    on_a_street(story)
