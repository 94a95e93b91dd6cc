"""A tracker and a seed in one program, as `p2pswarm share` does it.

`python examples/tracker_and_seed.py FILE` prints the URL to give to `p2pswarm get`, and serves until Ctrl-C.
"""

import asyncio
import contextlib
import sys
from pathlib import Path

from p2pswarm import Node, Settings
from p2pswarm.disk.create import create
from tracker.app import TrackerService
from tracker.config import TrackerSettings


async def main(file: Path) -> None:
    service = TrackerService(TrackerSettings(host="127.0.0.1", port=0))
    await service.start()
    try:
        metainfo = await asyncio.to_thread(create, file, trackers=[service.url])
        url = service.host(f"{metainfo.name}.torrent", metainfo.raw)
        async with Node(Settings(bind="127.0.0.1", port=0)) as node:
            await (await node.add(metainfo, data=file)).finished()
            print(url, flush=True)
            await asyncio.Event().wait()
    finally:
        await service.aclose()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(Path(sys.argv[1])))
