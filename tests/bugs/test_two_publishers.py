"""Two programs that published with one key each signed the next release: a proof that the publisher lied, and
the end of the feed."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from p2pswarm.disk.feeds import FeedFile
from p2pswarm.errors import FormatError, InUseError
from p2pswarm.formats.feed_link import FeedLink
from p2pswarm.news import News
from tests.support.feeds import Publisher
from tests.support.world import World, simulate

LINK = FeedLink(Publisher(1).name)


def test_the_second_one_is_refused(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        nodes = [await world.node(world.host()) for _ in range(2)]

        def news(number: int, *, strict: bool = True) -> News:
            file = FeedFile(tmp_path / "log")
            return News(nodes[number], LINK, file, lambda complaint: None, strict=strict)

        async with news(0):
            with pytest.raises(InUseError, match="another program publishes"):
                async with AsyncExitStack() as stack:
                    await stack.enter_async_context(news(1))
            async with news(1, strict=False):
                pass
        async with news(1):
            pass
        (tmp_path / "log").write_bytes(b"junk")
        for _ in range(2):  # what fails holds no lock
            with pytest.raises(FormatError):
                async with news(0):
                    pass

    simulate(tmp_path, story)
