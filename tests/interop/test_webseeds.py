"""Web seeds (BEP 19): clients take a torrent of ours from a web server alone, in the places where we look."""

import asyncio
from functools import partial
from urllib.parse import quote

import pytest

from p2pswarm.formats.metainfo import Metainfo
from tests.interop.lab import ODD_FILES, Lab, StartClient, kept_by
from tests.interop.table import TAKES, part
from tests.support.foreign import aria2, libtorrent, until
from tests.support.web import WebServer

pytestmark = pytest.mark.interop


@part("web seeds (BEP 19)", TAKES)
@pytest.mark.parametrize("client", [libtorrent, aria2])
async def test_takes_our_torrent_from_a_web_server(client: StartClient, lab: Lab) -> None:
    lab.share(ODD_FILES, tracked=False)
    served = {f"/x/content/{quote(name)}": data for name, data in ODD_FILES.items()}
    async with WebServer(served) as web:
        info = bytes(Metainfo.from_file(lab.torrent).info)
        lab.torrent.write_bytes(Metainfo.from_info(info, web_seeds=[web.url + "x/"]).raw)
        more = {"ssrf_mitigation": False} if client is libtorrent else {}
        with lab.foreign_get(client, **more) as peer:
            await asyncio.to_thread(until, peer.is_complete, "the download", 60)
        assert lab.fetched(client.__name__) == kept_by(client, ODD_FILES)
        web.asked.clear()
        getting = partial(_get, lab)
        await asyncio.to_thread(getting)
        assert lab.fetched("get") == ODD_FILES
        assert {ask.path for ask in web.asked} == {path for path, data in served.items() if data}


def _get(lab: Lab) -> None:
    with lab.get() as get:
        assert get.wait() == 0, get.stderr
