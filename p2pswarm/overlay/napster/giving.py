"""What a Napster client gives: a file of the catalog, or, between two p2pswarms, the torrent of one.

Who wants something dials for it, and hangs up when it has all of it.
"""

from p2pswarm.disk.pool import DiskPool
from p2pswarm.formats.ids import InfoHash
from p2pswarm.net.rate import Limiter
from p2pswarm.overlay.catalog import Catalog
from p2pswarm.overlay.giving import FileGift, Gift, Told, give
from p2pswarm.overlay.napster.results import local_name
from p2pswarm.overlay.talk import Talk
from p2pswarm.overlay.tools import Seed
from p2pswarm.wire.napster import is_torrent_name

__all__ = ["Giving"]


class Giving:
    """`seed` makes the node serve the torrent of one of our files: the nick is about to ask for it."""

    def __init__(
        self,
        catalog: Catalog,
        disk: DiskPool,
        up: Limiter,
        seed: Seed,
    ) -> None:
        self._catalog = catalog
        self._disk = disk
        self._up = up
        self._seed = seed

    async def find(self, name: str, asker: str) -> Gift | None:
        """By the exact name that the network has for it.

        Raises DiskError when it cannot be read now, BusyError when this nick should ask again later.
        """
        if is_torrent_name(name):
            return await self._torrent(InfoHash(bytes.fromhex(name.split(":")[2][:40])), asker)
        shared = await self._catalog.named(local_name(name))
        return None if shared is None else FileGift(await self._catalog.read(shared), self._disk)

    async def _torrent(self, info_hash: InfoHash, asker: str) -> Gift | None:
        found = await self._catalog.torrent(info_hash)
        if found is None:
            return None
        await self._seed(info_hash, asker.lower())
        return Told(found[1].raw)

    async def give(self, talk: Talk, gift: Gift, offset: int) -> int:
        """Send it from there on, and wait until it was taken. Raises NetworkError, DiskError."""
        length = gift.size - offset
        await give(talk, gift, self._up, offset, length)
        await talk.hung_up()
        return length
