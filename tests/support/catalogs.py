"""Catalogs at work, for whoever needs shared files."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from p2pswarm.disk.pool import DiskPool
from p2pswarm.overlay.catalog import Catalog

__all__ = ["opened"]


@asynccontextmanager
async def opened(
    database: Path, *folders: Path, threads: int = 1, work: bool = True
) -> AsyncIterator[Catalog]:
    """A catalog at work, with everything scanned and hashed."""
    disk, index = DiskPool(threads=threads), DiskPool(threads=threads)
    catalog = await Catalog.open(database, folders, disk=disk, index=index)
    working = asyncio.ensure_future(catalog.run()) if work else None
    try:
        if working:
            await catalog.settled()
        yield catalog
    finally:
        if working:
            working.cancel()
            await asyncio.wait([working])
        await catalog.aclose()
        await index.aclose()
        await disk.aclose()
