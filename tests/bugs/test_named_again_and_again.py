"""Who is in a call says again and again that he is at a victim's: each time that was tried as if it were new.

That it had been named counted once: packets went there for as long as the call went on.
"""

import asyncio
from dataclasses import replace

from p2pswarm.formats.ids import Address
from p2pswarm.lab.nats import Kind
from p2pswarm.reach.offers import Candidate, CandidateKind, Candidates
from p2pswarm.reach.strangers import EVERY, MEETINGS
from tests.reach.worlds import World, in_a_world, talk

VICTIM = Address("93.184.216.7", 53)
PAUSE = 10.0


def test_a_victim_that_is_named_again_is_left_alone() -> None:
    async def story(world: World) -> None:
        a, b = await world.user(1, Kind.PORT), await world.user(2, Kind.PORT)
        meetings = await world.meet(a, b)
        await talk(world, meetings)
        meeting = meetings[0]
        ours, theirs = meeting._offers
        port = meeting._ways.port
        send, sent = port.send_datagram, list[float]()

        def noted(data: bytes, to: Address) -> None:
            if to.host == VICTIM.host:
                sent.append(world.loop.time())
            send(data, to)

        port.send_datagram = noted  # type: ignore[method-assign]
        lie = Candidates((Candidate(CandidateKind.HOST, VICTIM),))
        begun = world.loop.time()
        for _ in range(int(0.9 * EVERY / PAUSE)):
            meeting.renew(ours, replace(theirs, candidates=lie))
            await asyncio.sleep(PAUSE)
        assert sent
        assert sent[-1] <= begun + MEETINGS * PAUSE

    in_a_world(story)
