"""The real Napster server and real sessions in virtual time."""

import pytest

from p2pswarm.errors import NetworkError
from p2pswarm.lab.architecture import Architecture, Question, Thing
from p2pswarm.lab.central import Central
from p2pswarm.lab.loop import VirtualLoop, play

PEERS = 1100  # more than may stand at the server's door
MOON = Thing("blue moon 7", frozenset({3, 70, 1040}))
NOTHING = Thing("blue sun 7", frozenset({5}))


def shelves() -> list[list[str]]:
    mine = [[f"own file {peer}.mp3"] for peer in range(PEERS)]
    for peer in MOON.holders:
        mine[peer].append(MOON.name)
    mine[9] = []
    return mine


def test_one_question_finds_everybody_else_who_has_it() -> None:
    async def story(loop: VirtualLoop) -> None:
        central = Central(loop, PEERS)
        architecture: Architecture = central
        await architecture.build(shelves())
        assert central.server.report()["napster_users"] == PEERS
        assert central.server.report()["napster_files"] == PEERS - 1 + 3
        before = architecture.loads()
        outcome = await architecture.ask(Question(9, MOON))
        assert outcome.messages == {"query": 1, "hit": 3, "end": 1}
        assert (outcome.found, outcome.copies, outcome.recall) == (3, 3, 1.0)
        assert (outcome.hops, outcome.first) == (1, 2)
        assert (await architecture.ask(Question(70, MOON))).found == 2, "not our own"
        outcome = await architecture.ask(Question(70, NOTHING))
        assert outcome.messages == {"query": 1, "hit": 0, "end": 1}
        assert (outcome.found, outcome.hops, outcome.first) == (0, None, None)
        assert not any(sum(loads) for loads in before.values())
        loads = architecture.loads()
        assert list(loads["server"]) == [5 + 4 + 2]
        assert {peer: load for peer, load in enumerate(loads["client"]) if load} == {9: 5, 70: 6}
        central.server.check()
        await central.close()
        await central.close()
        with pytest.raises(NetworkError):
            await architecture.ask(Question(9, MOON))

    play(story)


def test_who_asks_too_much_waits() -> None:
    """The limits are the server's own: twenty questions at once, then five a second."""

    async def story(loop: VirtualLoop) -> None:
        central = Central(loop, 2)
        await central.build([[], [NOTHING.name]])
        began = loop.time()
        for _ in range(30):
            assert (await central.ask(Question(0, Thing(NOTHING.words, frozenset({1}))))).found == 1
        assert loop.time() - began > 1.5
        await central.close()

    play(story)
