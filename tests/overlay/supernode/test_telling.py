"""What a parent is told, without one."""

import asyncio
from typing import Any

from p2pswarm.formats.ids import InfoHash
from p2pswarm.overlay.supernode.family import SHARES
from p2pswarm.overlay.supernode.telling import MOST_SHARED, PACE, PAGE, Telling
from p2pswarm.wire.supernode.frames import FrameKind
from p2pswarm.wire.supernode.shares import MAX_NAME, Share, SharedFile, Unshare
from tests.support.crowd import file
from tests.support.world import virtual_loop


class Parent:
    """It takes all, and knows what it was told."""

    def __init__(self) -> None:
        self.over = False
        self.frames: list[bytes] = []
        self.files: dict[int, SharedFile] = {}

    async def relaxed(self) -> None:
        pass

    def send(self, frame: bytes) -> bool:
        self.frames.append(frame)
        kind, body = frame[2], frame[3:]
        if kind == FrameKind.SHARE:
            self.files.update((each.number, each) for each in Share.read(body).files)
        else:
            for number in Unshare.read(body).numbers:
                del self.files[number]
        assert len(self.files) <= MOST_SHARED
        return True


def play(story: Any) -> None:
    with virtual_loop() as loop:
        loop.run_until_complete(story())
        assert not loop.complaints


async def begun(files: dict[int, SharedFile]) -> tuple[Parent, Telling, asyncio.Task[None]]:
    parent: Any = Parent()
    telling = Telling(parent, files)
    return parent, telling, asyncio.ensure_future(telling.run())


async def end(parent: Parent, telling: Telling, task: asyncio.Task[None]) -> None:
    parent.over = True
    telling.end()
    async with asyncio.timeout(2):
        await task


def largest(number: int) -> SharedFile:
    name = f"{number:05}".rjust(MAX_NAME, "n")
    return SharedFile(number, 1 << 40, name, b"s" * 20, b"t" * 24, InfoHash(b"i" * 20))


def test_the_longest_list_is_told_at_once_and_within_what_is_granted() -> None:
    async def story() -> None:
        files = {number: largest(number) for number in range(MOST_SHARED)}
        parent, telling, task = await begun(files)
        await asyncio.sleep(0.1)
        assert parent.files == files
        assert len(parent.frames) == -(-MOST_SHARED // PAGE) <= PACE[1] < SHARES[1]
        await end(parent, telling, task)

    play(story)


def test_more_than_a_parent_takes_waits_for_room() -> None:
    async def story() -> None:
        files = {number: file(number, f"f {number}") for number in range(MOST_SHARED + 3)}
        parent, telling, task = await begun(files)
        await asyncio.sleep(1)
        assert sorted(parent.files) == list(range(MOST_SHARED))
        for number in (1, 2, MOST_SHARED + 1):
            del files[number]
        telling.changed([1, 2, MOST_SHARED + 1])
        await asyncio.sleep(10)
        assert parent.files == files
        await end(parent, telling, task)

    play(story)


def test_what_comes_and_goes_in_between_is_not_told() -> None:
    async def story() -> None:
        files: dict[int, SharedFile] = {}
        parent, telling, task = await begun(files)
        await asyncio.sleep(1)
        files[1] = file(1, "one")
        telling.changed([1])
        del files[1]
        telling.changed([1])
        await asyncio.sleep(1)
        assert parent.frames == []
        await end(parent, telling, task)

    play(story)


def test_single_changes_are_few_frames() -> None:
    async def story() -> None:
        files: dict[int, SharedFile] = {}
        parent, telling, task = await begun(files)
        for number in range(2000):
            files[number] = file(number, f"f {number}")
            telling.changed([number])
            await asyncio.sleep(0.01)
        await asyncio.sleep(10)
        assert parent.files == files
        assert len(parent.frames) <= PACE[1] + 35
        await end(parent, telling, task)

    play(story)
