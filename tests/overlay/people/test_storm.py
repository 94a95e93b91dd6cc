"""Half of all super nodes die in one moment, as Skype's did in 2007 and 2010: who lost his homes comes to the
others, and they are not run over."""

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from p2pswarm.formats.ids import Address
from p2pswarm.formats.people.names import name_hash
from p2pswarm.net.stream import Stream
from p2pswarm.overlay.people.client import People
from p2pswarm.wire.sniff import Guest
from tests.support.people_world import Town, play

USERS, SUPERS = 40, 8
BACK = 60.0  # seconds of virtual time


async def at_home(town: Town) -> list[People]:
    users = [await town.people(f"user{number}") for number in range(USERS)]
    await asyncio.gather(*(each.join() for each in users))
    await town.until(lambda: all(len(each.homes) >= 2 for each in users), 120)
    await town.until(lambda: all(each.status().published for each in users), 120)
    await asyncio.sleep(10)  # they know others by then
    return users


def count_greetings(town: Town) -> Counter[tuple[Address, int]]:
    """Of each super node in each second, from now on."""
    seconds: Counter[tuple[Address, int]] = Counter()
    for clerk in town.clerks:
        came = clerk.people.door._came

        def counted(
            stream: Stream,
            came: Callable[[Stream], None] = came,
            place: Address = clerk.place.address,
        ) -> None:
            seconds[place, int(town.loop.time())] += 1
            came(stream)

        clerk.people._port.route(Guest.PEOPLE, counted)
    return seconds


def test_half_of_the_super_nodes_die_and_everybody_is_back_within_a_minute(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        users = await at_home(town)
        greetings = count_greetings(town)
        dead = set()
        for clerk in town.clerks[: SUPERS // 2]:
            dead.add(clerk.place.address)
            await town.kill(clerk.people)
        began = town.loop.time()

        def is_back(each: People) -> bool:
            record = town.records[name_hash(each.status().name or "")]
            return len(each.homes) >= 2 and not dead & set(record.homes)

        await town.until(lambda: all(map(is_back, users)), BACK)
        busiest = max(greetings.values())
        assert busiest <= USERS / 4, busiest
        assert sum(greetings.values()) < 4 * USERS
        assert town.loop.time() - began < BACK

    play(tmp_path, story, supers=SUPERS)
