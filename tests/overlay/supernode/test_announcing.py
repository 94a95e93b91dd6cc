"""A catalog told to super nodes, page by page: a catalog whose answers are written here."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from p2pswarm.errors import DiskError
from p2pswarm.formats.ids import InfoHash
from p2pswarm.overlay.supernode.announcing import MAX_NUMBER, PAGE, READ_AGAIN, Announcing
from p2pswarm.overlay.tables import Shared
from p2pswarm.wire.supernode.shares import MAX_NAME, SharedFile, pack_file
from tests.support.world import virtual_loop


def shared(number: int, name: str = "", *, hashed: bool = False) -> Shared:
    sha1, info_hash, tth = (b"s" * 20, InfoHash(b"i" * 20), b"t" * 24) if hashed else (None,) * 3
    return Shared(number, name or f"Music/{number}", 100, 0, b"m" * 16, sha1, info_hash, tth)


class Books:
    """A catalog. `slow` is how long it reads."""

    def __init__(self, *files: Shared) -> None:
        self.files = {each.id: each for each in files}
        self.version, self.slow, self.broken = 0, 0.0, False
        self.watchers: list[Any] = []
        self.bell = asyncio.Event()

    async def listed(self, after: int, most: int) -> list[Shared]:
        page = [each for number, each in sorted(self.files.items()) if number > after][:most]
        await asyncio.sleep(self.slow)
        if self.broken:
            raise DiskError("the disk is gone")
        return page

    async def noted(self, after: int, most: int) -> list[Shared]:
        return [each for each in await self.listed(after, most) if each.sha1]

    async def newer_than(self, version: int) -> None:
        while self.version == version:
            await self.bell.wait()

    def watch(self, gone: Any) -> Callable[[], None]:
        self.watchers.append(gone)
        return lambda: self.watchers.remove(gone)

    def more(self, *files: Shared) -> None:
        self.files.update((each.id, each) for each in files)
        self.version += 1
        self.bell.set()
        self.bell = asyncio.Event()

    def lose(self, number: int) -> None:
        for watcher in self.watchers:
            watcher([self.files[number]])
        del self.files[number]
        self.more()


class Node:
    """The files of a member, and that is all."""

    def __init__(self) -> None:
        self.us, self.files = self, dict[int, SharedFile]()

    def share(self, files: Sequence[SharedFile]) -> None:
        for each in files:
            pack_file(each)  # so that it can be told
        self.files.update((each.number, each) for each in files)

    def unshare(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self.files.pop(number, None)


def play(*files: Shared) -> Callable[[Any], None]:
    async def told(story: Any) -> None:
        node: Any = Node()
        books: Any = Books(*files)
        announcing = Announcing(node)
        announcing.share(books)
        life = asyncio.ensure_future(announcing.run())
        try:
            await story(books, node)
        finally:
            life.cancel()
            await asyncio.wait([life])
        assert not books.watchers

    def run(story: Any) -> None:
        with virtual_loop() as loop:
            loop.run_until_complete(told(story))
            assert not loop.complaints

    return run


def test_all_files_are_told_and_again_once_they_are_hashed() -> None:
    @play(*(shared(number) for number in range(1, 2 * PAGE + 10)))
    async def story(books: Books, node: Node) -> None:
        await asyncio.sleep(1)
        assert node.files.keys() == books.files.keys()
        assert node.files[1].sha1 is None
        books.more(*(shared(number, hashed=True) for number in range(1, 2 * PAGE + 10)))
        await asyncio.sleep(1)
        assert {file.sha1 for file in node.files.values()} == {b"s" * 20}


def test_what_is_gone_is_withdrawn_also_while_the_catalog_reads() -> None:
    @play(shared(1), shared(2))
    async def story(books: Books, node: Node) -> None:
        await asyncio.sleep(1)
        books.lose(1)
        assert list(node.files) == [2]
        books.slow = 10
        books.more(shared(3), shared(4))
        await asyncio.sleep(15)
        books.more(shared(5))
        await asyncio.sleep(5)  # five was read, and not told
        books.lose(5)
        await asyncio.sleep(100)
        assert list(node.files) == [2, 3, 4]


def test_a_catalog_that_cannot_be_read_is_tried_again() -> None:
    @play(shared(1))
    async def story(books: Books, node: Node) -> None:
        books.broken = True
        await asyncio.sleep(1)
        assert not node.files
        books.broken = False
        await asyncio.sleep(READ_AGAIN)
        assert list(node.files) == [1]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Music/blue.ogg", "Music/blue.ogg"),
        (f"Music/{'x' * 300}/live/blue.ogg", "live/blue.ogg"),
        ("y" * 300 + ".ogg", "y" * (MAX_NAME - 4) + ".ogg"),
        ("é" * 200, "é" * (MAX_NAME // 2)),
        ("a\nb\x1b[31m\u2028c", "a b [31m c"),
        ("caf\udce9.ogg", "caf .ogg"),
    ],
)
def test_every_name_can_be_told(name: str, told: str) -> None:
    @play(shared(1, name), shared(MAX_NUMBER + 1))
    async def story(books: Books, node: Node) -> None:
        await asyncio.sleep(1)
        assert [file.name for file in node.files.values()] == [told]
