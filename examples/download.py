"""Fetch a torrent and tell what happens: `python examples/download.py FILE.torrent FOLDER`."""

import asyncio
import sys
from pathlib import Path

from p2pswarm import Node
from p2pswarm.swarm.events import Completed, PeerJoined, PieceDone


async def main(source: str, folder: Path) -> None:
    async with Node() as node:
        torrent = await node.add(source, save_to=folder)
        pieces = 0
        async for event in torrent.events():
            match event:
                case PeerJoined(address=address, client=client):
                    print(f"{client} at {address} has joined")
                case PieceDone():
                    pieces += 1
                case Completed():
                    print(f"{pieces} pieces verified: {torrent.path}")
                    return


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
