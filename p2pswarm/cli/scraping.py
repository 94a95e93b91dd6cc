"""How large a swarm is, as its trackers say: `info --scrape`."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from p2pswarm.cli.exits import Exit
from p2pswarm.cli.running import Stop, run
from p2pswarm.cli.text import printable
from p2pswarm.errors import FormatError, RemoteError

if TYPE_CHECKING:
    from p2pswarm.discovery.late import LateFetch
    from p2pswarm.discovery.udp_trackers import UdpTrackers
    from p2pswarm.formats.metainfo import Metainfo

__all__ = ["in_words", "swarm_sizes"]


def swarm_sizes(metainfo: "Metainfo") -> list[dict[str, Any]]:
    """What each tracker answers (BEP 48), or why it does not; all are asked at once."""
    told: list[dict[str, Any]] = []
    run(partial(_ask_all, metainfo, told))
    return told


async def _ask_all(metainfo: "Metainfo", told: list[dict[str, Any]], stop: Stop) -> Exit:
    from p2pswarm.discovery.late import LateFetch
    from p2pswarm.discovery.udp_trackers import UdpTrackers
    from p2pswarm.net.binding import ANY
    from p2pswarm.net.port import Port

    port, fetch = Port(ANY, 0), LateFetch()
    udp = UdpTrackers.on(port)
    await port.open()
    try:
        urls = dict.fromkeys(url for tier in metainfo.trackers for url in tier)
        asking = asyncio.gather(*(_ask(url, metainfo, fetch, udp) for url in urls))
        told += await stop.unless(asking)
    finally:
        await fetch.aclose()
        await port.close()
    return Exit.OK


async def _ask(
    url: str, metainfo: "Metainfo", fetch: "LateFetch", udp: "UdpTrackers"
) -> dict[str, Any]:
    from p2pswarm.discovery.trackers import scrape

    try:
        reply = await scrape(fetch, url, metainfo.names, udp)
    except (RemoteError, FormatError) as error:
        return {"url": url, "error": str(error)}
    # Most peers of a hybrid are in both of its swarms.
    swarms = [reply.swarms[name] for name in metainfo.names if name in reply.swarms]
    return {
        "url": url,
        "seeds": max((each.complete for each in swarms), default=0),
        "others": max((each.incomplete for each in swarms), default=0),
        "downloads": max((each.downloaded for each in swarms), default=0),
    }


def in_words(told: Mapping[str, Any]) -> str:
    """One tracker's answer as a line."""
    if "error" in told:
        return f"{told['url']}: {printable(told['error'])}"
    seeds, others, downloads = told["seeds"], told["others"], told["downloads"]
    return f"{told['url']}: seeds {seeds}, others {others}, downloads {downloads}"
