"""Two nodes in one process, no tracker: one makes a torrent and seeds it, the other fetches it.

`python examples/two_nodes.py FILE FOLDER`
"""

import asyncio
import sys
from pathlib import Path

from p2pswarm import Address, Node, Settings
from p2pswarm.disk.create import create


async def main(file: Path, folder: Path) -> None:
    metainfo = await asyncio.to_thread(create, file)
    here, there = Settings(bind="127.0.0.1", port=0), Settings(bind="127.0.0.1", port=0)
    async with Node(here) as seed, Node(there) as leech:
        await (await seed.add(metainfo, data=file)).finished()
        torrent = await leech.add(metainfo, save_to=folder, peers=[Address("127.0.0.1", seed.port)])
        await torrent.finished()
        print(f"{torrent.path}: {torrent.status().done} bytes, verified")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
