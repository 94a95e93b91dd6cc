"""What our parent is told of our files: all of them first, then what changes, as fast as it takes them.

The one hard thing: files may change faster than that, while a folder is scanned or every file is hashed in
turn. So news wait in no queue. Only the numbers are kept of files of which the parent knows nothing, or
something old; what is true of them is told when their turn comes.
"""

import asyncio
from collections.abc import Iterable, Mapping
from itertools import islice

from p2pswarm.overlay.limits import Tokens
from p2pswarm.overlay.supernode.link import Link
from p2pswarm.wire.supernode.shares import Share, SharedFile, Unshare

__all__ = ["MOST_SHARED", "Telling"]

MOST_SHARED = 10_000  # files that a super node takes from one child
PAGE = 90  # files in one go, which are one frame also if they have long names and all hashes
# Frames a second and saved up: a list of the most files needs 112, and half of it a super node grants.
PACE = (1.0, 120.0)
AGAIN = 1.0  # seconds until one more frame can leave


class Telling:
    """`run` until the parent is gone, which `end` says; `changed` for files that are new or gone."""

    def __init__(self, link: Link, files: Mapping[int, SharedFile]) -> None:
        self._link, self._files = link, files
        self._clock = asyncio.get_running_loop().time
        self._pace = Tokens(*PACE, self._clock())
        self._untold: dict[int, None] = dict.fromkeys(files)
        self._told: set[int] = set()  # what the parent has
        self._bell = asyncio.Event()

    def changed(self, numbers: Iterable[int]) -> None:
        self._untold.update(dict.fromkeys(numbers))
        self._bell.set()

    def end(self) -> None:
        self._bell.set()

    async def run(self) -> None:
        while not self._link.over:
            for frame in self._page():
                if not self._pace.take(self._clock()):
                    await asyncio.sleep(AGAIN)
                    self._pace.take(self._clock())
                await self._link.relaxed()
                self._link.send(frame)
            if not self._untold and not self._link.over:
                self._bell.clear()
                await self._bell.wait()

    def _page(self) -> list[bytes]:
        """The next few, encoded; what is gone makes room for what had none."""
        gone: list[int] = []
        new: list[SharedFile] = []
        for number in list(islice(self._untold, PAGE)):
            del self._untold[number]
            file = self._files.get(number)
            if file is not None and (number in self._told or len(self._told) < MOST_SHARED):
                self._told.add(number)
                new.append(file)
            elif file is None and number in self._told:
                self._told.remove(number)
                gone.append(number)
        if gone and not self._untold and len(self._told) < min(MOST_SHARED, len(self._files)):
            self._untold.update(dict.fromkeys(self._files.keys() - self._told))
        told: list[Unshare | Share] = [*Unshare.pack(gone), *Share.pack(new)]
        return [each.encode().encode() for each in told]
