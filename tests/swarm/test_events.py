import asyncio
import gc

from p2pswarm.formats.ids import PieceIndex
from p2pswarm.swarm.events import (
    MOST_WAITING,
    Broadcast,
    Completed,
    Downloading,
    Event,
    PieceDone,
    Seeding,
    StateChanged,
)


def done(n: int) -> PieceDone:
    return PieceDone(PieceIndex(n))


async def test_everything_from_the_call_on_is_heard_in_order() -> None:
    broadcast = Broadcast()
    broadcast.tell(done(0))
    heard = broadcast.listen()
    broadcast.tell(done(1))
    broadcast.tell(StateChanged(Seeding()))
    broadcast.end()
    assert [event async for event in heard] == [done(1), StateChanged(Seeding())]


async def test_every_listener_hears_everything() -> None:
    broadcast = Broadcast()
    heard: list[list[Event]] = [[], [], []]

    async def listen(n: int) -> None:
        heard[n] += [event async for event in broadcast.listen()]

    async with asyncio.TaskGroup() as tasks:
        for n in range(3):
            tasks.create_task(listen(n))
        await asyncio.sleep(0)
        for n in range(5):
            broadcast.tell(done(n))
            await asyncio.sleep(0)
        broadcast.end()
    assert heard == [[done(n) for n in range(5)]] * 3


async def test_waiting_ends_with_the_next_event() -> None:
    broadcast = Broadcast()
    heard = broadcast.listen()
    waiting = asyncio.ensure_future(anext(heard))
    await asyncio.sleep(0)
    assert not waiting.done()
    broadcast.tell(Completed())
    assert await waiting == Completed()


async def test_who_comes_after_the_end_hears_nothing() -> None:
    broadcast = Broadcast()
    broadcast.end()
    assert [event async for event in broadcast.listen()] == []


async def test_who_does_not_keep_up_loses_the_oldest() -> None:
    broadcast = Broadcast()
    heard = broadcast.listen()
    for n in range(MOST_WAITING + 5):
        broadcast.tell(done(n))
    broadcast.end()
    events = [event async for event in heard]
    assert len(events) == MOST_WAITING
    assert events[0] == done(5)


async def test_who_stops_listening_is_forgotten() -> None:
    broadcast = Broadcast()
    heard = broadcast.listen()
    never_read = broadcast.listen()
    broadcast.tell(Completed())
    async for event in heard:
        assert event == Completed()
        break
    assert len(broadcast._listeners) == 2
    del heard, never_read
    gc.collect()
    for _ in range(5):
        await asyncio.sleep(0)  # the loop closes the generators that nobody reads any more
    gc.collect()
    assert len(broadcast._listeners) == 0
    broadcast.tell(Completed())


def test_events_are_equal_by_what_they_say() -> None:
    assert done(1) == done(1) != done(2)
    assert StateChanged(Downloading()) != StateChanged(Seeding())
