"""A feed (BEP 46): a folder published with one node, and followed with another, in one process.

`python examples/feed.py FOLDER INTO`
"""

import asyncio
import sys
import time
from functools import partial
from pathlib import Path

from p2pswarm import Address, Node, Settings
from p2pswarm.disk.create import create
from p2pswarm.disk.feeds import FeedFile
from p2pswarm.following import Following
from p2pswarm.formats.building import Generation
from p2pswarm.formats.feed import FeedName
from p2pswarm.formats.feed_link import FeedLink
from p2pswarm.formats.signing import SigningKey
from p2pswarm.news import News
from p2pswarm.publishing import release


async def main(folder: Path, into: Path) -> None:
    key = SigningKey.new()
    link = FeedLink(FeedName(key.public, b""))
    metainfo = await asyncio.to_thread(partial(create, folder, generation=Generation.HYBRID))
    mine, theirs = FeedFile(into / "published.feed"), FeedFile(into / "followed.feed")
    quiet = Settings(bind="127.0.0.1", port=0, dht=False, lsd=False)
    async with Node(quiet) as alice, Node(quiet) as bob:
        peers = [Address("127.0.0.1", alice.port)]
        await alice.add(metainfo, data=folder)
        publishing = News(alice, link, mine, print)
        async with publishing as log, News(bob, link, theirs, print, peers=peers) as news:
            entry = await release(log, key, metainfo, int(time.time()))
            print(f"release {entry.sequence}: {link}")
            following = Following(bob, news, into)
            newest = await following.next_release()
            torrent = await following.begin(newest, peers)
            await torrent.finished()
            following.settle(newest)
            print(f"release {newest.sequence} is in {torrent.path}")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
