"""Our catalog as it is told to super nodes: every file under its number, and again once it is hashed.

The one hard thing: names of ours may be longer than a super node takes, or no text at all. Then folders are
left out, the outermost first, and in the end the beginning of the name; what cannot be shown is a space.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence

from p2pswarm.errors import DiskError
from p2pswarm.overlay.catalog import Catalog
from p2pswarm.overlay.supernode.member import Member
from p2pswarm.overlay.tables import Shared
from p2pswarm.wire.supernode.shares import MAX_NAME, SharedFile

__all__ = ["Announcing"]

log = logging.getLogger(__name__)

PAGE = 500  # files in one go
MAX_NUMBER = 0xFFFF_FFFF
READ_AGAIN = 60.0  # seconds until a catalog that cannot be read is tried again


class Announcing:
    """`run` until cancelled, once there is a catalog."""

    def __init__(self, member: Member) -> None:
        self._member = member
        self._listed = self._noted = 0  # numbers up to which files were told, and with their hashes
        self._gone = set[int]()  # while a page was read
        self._catalog: asyncio.Future[Catalog] = asyncio.get_running_loop().create_future()

    def share(self, catalog: Catalog) -> None:
        """Once. Raises InvalidStateError the second time."""
        self._catalog.set_result(catalog)

    def has(self, number: int) -> bool:
        """Whether we told of it; 0 is any."""
        files = self._member.us.files
        return bool(files) if number == 0 else number in files

    async def run(self) -> None:
        catalog = await asyncio.shield(self._catalog)
        self._member.unshare(list(self._member.us.files))  # what of it is gone, nobody told us
        self._listed = self._noted = 0
        stop = catalog.watch(self._withdraw)
        try:
            while True:
                await self._follow(catalog)
        finally:
            stop()

    async def _follow(self, catalog: Catalog) -> None:
        """The next page, or what comes."""
        version = catalog.version
        self._gone.clear()
        try:
            named = await catalog.listed(self._listed, PAGE)
            noted = await catalog.noted(self._noted, PAGE)
        except DiskError as error:
            log.warning("supernode: others are not told what is new: %s", error)
            await asyncio.sleep(READ_AGAIN)
            return
        self._listed = named[-1].id if named else self._listed
        self._noted = noted[-1].id if noted else self._noted
        there = [shared for shared in (*named, *noted) if shared.id not in self._gone]
        self._member.share(list(_files(there)))
        if not named and not noted:
            await catalog.newer_than(version)

    def _withdraw(self, files: Sequence[Shared]) -> None:
        numbers = [shared.id for shared in files]
        self._gone.update(numbers)
        self._member.unshare(numbers)


def _files(shared: Iterable[Shared]) -> Iterable[SharedFile]:
    for each in shared:
        if each.id <= MAX_NUMBER:
            name = _short(each.name)
            yield SharedFile(each.id, each.size, name, each.sha1, each.tth, each.info_hash)


def _short(name: str) -> str:
    """One line of UTF-8, which not every name in a file system is."""
    name = "".join(char if char.isprintable() else " " for char in name)
    while len(name.encode()) > MAX_NAME and "/" in name:
        name = name.partition("/")[2]
    return name.encode()[-MAX_NAME:].decode(errors="ignore")
