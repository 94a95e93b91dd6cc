"""`search` and `fetch`: files looked for in search networks, and one of them downloaded.

What a search printed stays in a file of the data folder, so that `fetch 3` needs no more than a number. The
word that stands beside it works anywhere and later: it asks the network again.
"""

import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p2pswarm.cli.exits import CommandError, Exit, one_line
from p2pswarm.cli.following import Goal, Patience, follow, telling
from p2pswarm.cli.health import beating
from p2pswarm.cli.networking import join, visiting, watching
from p2pswarm.cli.options import (
    Download,
    HitArgument,
    Looking,
    Output,
    Progress,
    WordsArgument,
)
from p2pswarm.cli.report import Report
from p2pswarm.cli.running import Stop, run
from p2pswarm.cli.text import counted, printable
from p2pswarm.cli.transfer import complete, stopped_code
from p2pswarm.config import NetworkSettings, Settings, format_size
from p2pswarm.errors import FormatError, NetworkError

if TYPE_CHECKING:
    from p2pswarm.node import Node
    from p2pswarm.overlay.network import Cost
    from p2pswarm.overlay.query import Digest, Hit, Query
    from p2pswarm.overlay.search import Find, Search

__all__ = ["fetch", "search"]

_KEPT = "last-search.json"  # in the data folder
_MOST_KEPT = 16 << 20  # bytes


def search(
    words: WordsArgument,
    looking: Looking,
    networks: NetworkSettings,
    settings: Settings,
    progress: Progress,
) -> Exit:
    """Look for files in search networks; prints them as they are found, each once."""
    from p2pswarm.formats.words import Asked
    from p2pswarm.overlay.query import Query

    asked = Asked.parse(" ".join(words))
    query = Query(
        *asked,
        kind=looking.kind,
        min_size=looking.min_size,
        max_size=looking.max_size,
        limit=looking.limit,
        lookup=looking.lookup,
    )
    with Report(progress) as report:
        work = partial(_search, query, looking.via, visiting(networks), settings, report)
        return run(work, at_once=report.abandon)


async def _search(
    query: "Query",
    via: Sequence[str],
    networks: NetworkSettings,
    settings: Settings,
    report: Report,
    stop: Stop,
) -> Exit:
    from p2pswarm.node import Node
    from p2pswarm.overlay.query import Lookup

    async with Node(settings, networks) as node:
        names = via or node.networks.set_up()
        iterative = query.lookup is Lookup.ITERATIVE
        joined = await join(node, names, report, stop, visiting=iterative)
        async with watching(node, report), node.search(query, joined) as looking:
            try:
                async for find in _until_stopped(looking, stop):
                    _tell_find(len(looking.finds), find, report)
            finally:  # also of a search that is stopped: its numbers were seen
                if looking.finds:
                    _keep(looking.finds, settings.data_dir)
            failed = len(looking.failures) == len(joined)
            if looking.finds or not failed:
                _tell_costs(looking, report)
            if not looking.finds and not failed:
                _keep((), settings.data_dir)  # the last search found nothing
    if failed:
        raise NetworkError("; ".join(f"{name}: {why}" for name, why in looking.failures.items()))
    return Exit.OK


async def _until_stopped(looking: "Search", stop: Stop) -> AsyncIterator["Find"]:
    finds = aiter(looking)
    while (find := await stop.unless(anext(finds, None))) is not None:
        yield find


def _tell_find(number: int, find: "Find", report: Report) -> None:
    from p2pswarm.formats.words import kind_of
    from p2pswarm.overlay.tokens import as_fields, token_of

    hit = find.hits[0]
    token = token_of(hit)
    name = printable(one_line(hit.name))
    line = f"{number}\t{format_size(hit.size)}\t{name}\t{token}"
    report.result(line, number=number, token=token, kind=kind_of(hit.name), **as_fields(hit))


def _tell_costs(looking: "Search", report: Report) -> None:
    for name, cost in looking.costs.items():
        if name in looking.failures:
            report.note(f"{name}: {looking.failures[name]}")
        report.event("cost", **_figures(name, cost))
        report.note(f"{name}: {_in_words(cost)}")
    hits = sum(len(find.hits) for find in looking.finds)
    report.note(f"{counted(hits, 'hit')}, {counted(len(looking.finds), 'file')}")


def _figures(name: str, cost: "Cost") -> dict[str, Any]:
    return {
        "network": name,
        "messages": cost.messages,
        "bytes": cost.bytes,
        "hops": cost.hops,
        "hits": cost.hits,
        "first_ms": _ms(cost.first),
        "last_ms": _ms(cost.last),
        "took_ms": _ms(cost.took),
    }


def _in_words(cost: "Cost") -> str:
    found = ""
    if cost.first is not None and cost.last is not None:
        found = f"first hit after {cost.first * 1000:.0f} ms, all after {cost.last * 1000:.0f} ms, "
    return (
        f"{counted(cost.messages, 'message')}, {format_size(cost.bytes)}, "
        f"{counted(cost.hops, 'hop')}, {found}ended after {cost.took * 1000:.0f} ms"
    )


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


# What was found last


def _keep(finds: Sequence["Find"], folder: Path) -> None:
    from p2pswarm.overlay.tokens import as_fields

    rows = [[as_fields(hit) for hit in find.hits] for find in finds]
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / f"{_KEPT}.{os.getpid()}"
    new.write_text(json.dumps(rows), "utf-8")
    new.replace(folder / _KEPT)


def _row(number: int, folder: Path) -> list["Hit"]:
    """Everybody who has the file of this number. Raises CommandError."""
    from p2pswarm.overlay.tokens import from_fields

    try:
        with (folder / _KEPT).open(encoding="utf-8") as file:
            rows = dict(enumerate(json.loads(file.read(_MOST_KEPT)), 1))
        hits = [from_fields(fields) for fields in rows[number]]
    except FileNotFoundError as error:
        raise CommandError("there was no search yet", Exit.USAGE) from error
    except KeyError as error:
        raise CommandError(f"the last search found no number {number}", Exit.USAGE) from error
    except (ValueError, TypeError, AttributeError, RecursionError, FormatError) as error:
        raise CommandError(f"{folder / _KEPT} is damaged: search again", Exit.ERROR) from error
    except OSError as error:
        raise CommandError(f"{folder / _KEPT} cannot be read: {error}", Exit.ERROR) from error
    if not hits:
        raise CommandError(f"{folder / _KEPT} is damaged: search again", Exit.ERROR)
    return hits


# One of them


def fetch(
    hit: HitArgument,
    output: Output,
    download: Download,
    networks: NetworkSettings,
    settings: Settings,
    progress: Progress,
) -> Exit:
    """Download a file that a search found, verified, from every host that has it."""
    from p2pswarm.overlay.tokens import parse_token

    with Report(progress) as report:
        is_number = hit.isascii() and hit.isdigit() and len(hit) < 10
        wanted = _row(int(hit), settings.data_dir) if is_number else parse_token(hit)
        folder = output.output or Path()
        work = partial(_fetch, wanted, folder, download, visiting(networks), settings, report)
        return run(work, at_once=report.abandon)


async def _fetch(
    wanted: "Sequence[Hit] | Hit | tuple[str, Digest]",
    folder: Path,
    download: Download,
    networks: NetworkSettings,
    settings: Settings,
    report: Report,
    stop: Stop,
) -> Exit:
    from p2pswarm.node import Node

    async with Node(settings, networks) as node, beating(node, report):
        hits = await _hits(node, wanted, report, stop)
        torrent = await stop.unless(node.download(hits, save_to=folder))
        async with telling(torrent, report, stop):
            report.event("listening", port=node.port)
            if not await follow(torrent, report, stop, complete, Patience(download.timeout)):
                return stopped_code(torrent.error)
            status = torrent.status()
            report.note(f"verified by {status.verified_by}")
            verified = {"verified_by": status.verified_by}
            report.result(str(status.path), path=str(status.path), **verified)
            goal = Goal(download)
            if not goal.at_once:
                await follow(torrent, report, stop, goal.reached)
    return Exit.OK


async def _hits(
    node: "Node",
    wanted: "Sequence[Hit] | Hit | tuple[str, Digest]",
    report: Report,
    stop: Stop,
) -> Sequence["Hit"]:
    """Who has it, with their networks joined. Raises CommandError when nobody does."""
    from p2pswarm.overlay.query import Hit, Query

    if isinstance(wanted, Hit):
        wanted = [wanted]
    if not isinstance(wanted, tuple):
        await join(node, sorted({hit.network for hit in wanted}), report, stop)
        return wanted
    network, digest = wanted
    await join(node, [network], report, stop)
    async with node.search(Query(digest=digest), [network]) as looking:
        async for _ in _until_stopped(looking, stop):
            pass
    if looking.failures:
        raise looking.failures[network]
    if not looking.finds:
        raise CommandError(f"nobody in {network} has it now", Exit.NO_PEERS)
    return _by_name(looking.finds[0].hits)


def _by_name(hits: Sequence["Hit"]) -> list["Hit"]:
    """Those with the name that most have first, so that a file found by its hash has the same each time."""
    names = Counter(hit.filename for hit in hits)
    return sorted(hits, key=lambda hit: (-names[hit.filename], hit.filename))
