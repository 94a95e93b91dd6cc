"""Look for a file in a supernode network, both ways, and fetch the first one found from everybody who has it.

`python examples/supernode.py HOST:PORT FOLDER WORDS`
"""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

from p2pswarm import Address, Lookup, NetworkSettings, Node, Query, Settings


async def main(host: Address, folder: Path, words: str) -> None:
    network = NetworkSettings(connect=(host,), supernode_role="ordinary", wait=2.0)
    async with Node(Settings(port=0), network) as node:
        await node.networks.join("supernode")
        finds = []
        for lookup in Lookup:  # the network asks on, or we visit one super node after the other
            async with node.search(replace(Query.parse(words), lookup=lookup)) as search:
                finds += [find async for find in search]
            cost = search.costs["supernode"]
            print(f"{lookup}: {cost.hits} hits for {cost.messages} messages, {cost.hops} hops")
        if finds:
            torrent = await node.download(finds[0], save_to=folder)
            await torrent.finished()
            print(f"{torrent.path}: verified by {torrent.status().verified_by}")


if __name__ == "__main__":
    asyncio.run(main(Address.parse(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
