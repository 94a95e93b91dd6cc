"""A newer copy of a folder, as a torrent of version 2: what the older copy holds is not sent again.

`python examples/reuse.py NEW OLD INTO [GLOB …]`, where the globs name the files that are wanted.
"""

import asyncio
import sys
from functools import partial
from pathlib import Path

from p2pswarm import Address, Node, Selection, Settings
from p2pswarm.disk.create import create
from p2pswarm.formats.building import Generation


async def main(new: Path, old: Path, into: Path, globs: list[str]) -> None:
    metainfo = await asyncio.to_thread(partial(create, new, generation=Generation.V2))
    here, there = Settings(bind="127.0.0.1", port=0), Settings(bind="127.0.0.1", port=0)
    async with Node(here) as seed, Node(there) as leech:
        await (await seed.add(metainfo, data=new)).finished()
        torrent = await leech.add(
            metainfo,
            save_to=into,
            reuse=[old],
            select=Selection(only=tuple(globs)),
            peers=[Address("127.0.0.1", seed.port)],
        )
        await torrent.finished()
        status = torrent.status()
        print(f"{status.path}: {status.reused} bytes were here, {status.downloaded} came")


if __name__ == "__main__":
    folders = map(Path, sys.argv[1:4])
    asyncio.run(main(*folders, sys.argv[4:]))
