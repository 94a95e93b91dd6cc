"""A release: an entry of the publisher's feed, and the item of the DHT that points to it.

The one hard thing: whoever signs two entries with one number has told two stories, and the feed is over. So
nothing is signed before all that was signed before is known: the log beside the key, and what the DHT and the
followers say.
"""

import asyncio
from typing import TYPE_CHECKING

from p2pswarm.errors import HostError
from p2pswarm.formats.feed import Entry
from p2pswarm.news import News
from p2pswarm.swarm.feed_newest import PATIENCE, value_of

if TYPE_CHECKING:
    from p2pswarm.formats.metainfo import Metainfo
    from p2pswarm.formats.signing import SigningKey

__all__ = ["release"]


async def release(news: News, key: "SigningKey", metainfo: "Metainfo", time: int) -> Entry:
    """The newest entry is about this torrent from now on; the same torrent again is the same release.

    Raises HostError when the log is not complete, TwoStoriesError when it is over, FormatError when it is
    full.
    """
    await _caught_up(news)
    head = news.log.head
    if head is not None and head.short == metainfo.info_hash:
        await _announce(news, key, head)
        return head
    entry = Entry.signed(
        key,
        news.feed.salt,
        head,
        info_hash=metainfo.info_hash if metainfo.has_v1 else None,
        v2=metainfo.v2,
        name=metainfo.name,
        size=sum(file.length for file in metainfo.files if not file.pad),
        time=time,
    )
    await _announce(news, key, entry)
    return entry


async def _announce(news: News, key: "SigningKey", entry: Entry) -> None:
    from p2pswarm.discovery.dht.items import MutableItem

    item = MutableItem.signed(key, value_of(entry), entry.sequence, news.feed.salt)
    await news.add(entry, item)


async def _caught_up(news: News) -> None:
    """Raises HostError, TwoStoriesError."""
    await news.looked.wait()
    try:
        async with asyncio.timeout(PATIENCE):
            while news.newest.behind and news.newest.release is not None:
                await news.changed()
    except TimeoutError:
        raise HostError(
            f"{news.newest.behind}: without it a new release would contradict what was signed; "
            "bring the log back that was beside the key, or begin anew with another --salt"
        ) from None
    _ = news.newest.release
