"""Look for a file in a Napster network, and fetch the first one found from everybody who has it.

`python examples/search.py HOST:PORT FOLDER WORDS`
"""

import asyncio
import sys
from pathlib import Path

from p2pswarm import Address, NetworkSettings, Node, Query, Settings


async def main(server: Address, folder: Path, words: str) -> None:
    async with Node(Settings(port=0), NetworkSettings(napster_server=server)) as node:
        await node.networks.join("napster")
        async with node.search(Query.parse(words)) as search:
            finds = [find async for find in search]
        for find in finds:
            print(f"{find.name}: {find.size} bytes, {len(find.hits)} hosts")
        if finds:
            torrent = await node.download(finds[0], save_to=folder)
            await torrent.finished()
            print(f"{torrent.path}: verified by {torrent.status().verified_by}")


if __name__ == "__main__":
    asyncio.run(main(Address.parse(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
