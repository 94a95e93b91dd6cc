"""The hosted torrents by HTTP: the list for people and for programs, the files, and the form for new ones.

`/t/` is the list, `/t/NAME.torrent` a file, `/t/index.json` the list for programs; `POST /t/` uploads. The
folder is looked through for every answer, so files that come and go by hand are seen at once.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from urllib.parse import quote, unquote

from aiohttp import web

from p2pswarm.errors import FormatError, HostError
from p2pswarm.formats.ids import InfoHash
from p2pswarm.wire.tracker import Counts
from tracker import pages
from tracker.catalog import Shown, Wish, told
from tracker.desk import Desk
from tracker.torrents import Hosted, Library, TakenError
from tracker.uploads import RefusedUploadError, Uploads

__all__ = ["Hosting"]

_log = logging.getLogger(__name__)

_JSON = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


class Hosting:
    """What stands below `/t/`."""

    def __init__(self, library: Library, uploads: Uploads, desk: Desk) -> None:
        self._library, self._uploads, self._desk = library, uploads, desk
        self._free = asyncio.Lock()  # one thread at a time looks through the folder

    def host(self, name: str, data: bytes) -> str:
        """Offer a torrent from memory; its path. Raises BencodeError, MetainfoError, ValueError."""
        return f"/t/{quote(self._library.host(name, data), safe='')}"

    def reload(self) -> None:
        """Read the token again."""
        try:
            self._uploads.reload()
        except HostError as error:
            _log.warning("%s; the old one holds", error)

    async def answer(self, name: str, asked: Mapping[str, str]) -> web.Response | None:
        """What `/t/NAME` says; None when there is nothing."""
        match name:
            case "":
                shown = await self._shown(Wish.read(asked))
                text = pages.index(shown, uploads=self._uploads.allowed)
                return web.Response(body=text.encode(), headers=pages.FORM_HEADERS)
            case "index.json":
                return web.json_response(told(await self._shown(Wish.read(asked))), headers=_JSON)
            case _:
                return await self._file(name)

    async def upload(self, request: web.BaseRequest, caller: str) -> web.Response:
        """A form was sent. Whoever is refused is hung up on: nobody reads the rest of what he sends."""
        try:
            data = await self._uploads.take(request, caller)
            async with self._free:
                hosted = await asyncio.to_thread(self._library.keep, data)
        except (RefusedUploadError, FormatError, TakenError, OSError) as error:
            return _refusal(error)
        _log.warning("%s uploaded %r", caller, hosted.name)
        url = f"/t/{quote(hosted.name, safe='')}"
        headers = {**pages.FORM_HEADERS, "Location": url}
        return web.Response(status=201, body=pages.uploaded(hosted).encode(), headers=headers)

    async def _shown(self, wish: Wish) -> Shown:
        async with self._free:
            offers = await asyncio.to_thread(self._library.index)
        await self._desk.sweep()
        found = wish.found_in(offers)
        swarms = [name for hosted in wish.counted(found) for name in hosted.swarms]
        counts = dict(zip(swarms, await self._desk.store.scrape(swarms), strict=True))
        return Shown.of(wish, found, lambda hosted: _counts(hosted, counts))

    async def _file(self, escaped: str) -> web.Response | None:
        try:
            name = unquote(escaped, errors="strict")
        except UnicodeDecodeError:
            return None
        async with self._free:
            data = await asyncio.to_thread(self._library.data, name)
        if data is None:
            return None
        headers = {
            "Content-Type": "application/x-bittorrent",
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
            "X-Content-Type-Options": "nosniff",
        }
        return web.Response(body=data, headers=headers)


def _counts(hosted: Hosted, counts: Mapping[InfoHash, Counts]) -> Counts:
    """Of a hybrid, whose clients announce it under both names as a rule, the larger numbers."""
    swarms: Sequence[Counts] = [counts[name] for name in hosted.swarms]
    return Counts(
        complete=max(swarm.complete for swarm in swarms),
        downloaded=max(swarm.downloaded for swarm in swarms),
        incomplete=max(swarm.incomplete for swarm in swarms),
    )


def _refusal(error: Exception) -> web.Response:
    match error:
        case RefusedUploadError():
            status, text = error.status, str(error)
        case TakenError():
            status, text = 409, str(error)
        case OSError():
            _log.warning("an upload cannot be kept: %s", error)
            status, text = 507, "there is no room for it"
        case _:
            status, text = 400, f"not a torrent: {error}"
    body = pages.page("Not taken", pages.paragraph(text))
    response = web.Response(status=status, body=body.encode(), headers=pages.FORM_HEADERS)
    response.force_close()
    return response
