"""Where in a web seed the bytes of a torrent are (BEP 19).

A web seed is a URL of an ordinary server. Of a torrent with one file it is that file, or the folder with it
where it ends with "/"; of a torrent with several it is the folder that holds the torrent's own folder. Names
are percent-encoded, whatever they hold: a "?" or a "#" in one would cut the URL short.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from p2pswarm.formats.metainfo import Metainfo

__all__ = ["Known", "Part", "parts", "usable"]

MOST_USED = 100  # web seeds of one torrent; a hostile one names as many as fit into ten megabytes


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes of one file. Those of a pad file are zeros, and nobody is asked: it has no URL."""

    url: str
    file: int
    """Its place in `Metainfo.files`."""
    start: int
    end: int
    size: int
    """Bytes of the whole file."""


@dataclass(slots=True)
class Known:
    """What a server has shown of one file."""

    tag: str = ""
    """Which version of the file it is."""
    ranges: bool | None = None
    """Whether it gives parts."""


def usable(urls: Sequence[str]) -> tuple[str, ...]:
    """Those that are asked over HTTP, not too many."""
    return tuple(url for url in urls if url.lower().startswith(("http://", "https://")))[:MOST_USED]


def parts(metainfo: Metainfo, web_seed: str, offset: int, end: int) -> Iterator[Part]:
    """What to ask this web seed for, to get these bytes of the torrent's stream in a row."""
    files = metainfo.files
    at = bisect_right(files, offset, key=lambda file: file.offset) - 1
    while at < len(files) and files[at].offset < end:
        file = files[at]
        start, stop = max(offset - file.offset, 0), min(end - file.offset, file.length)
        if start < stop:
            url = "" if file.pad else _url(metainfo, web_seed, at)
            yield Part(url, at, start, stop, file.length)
        at += 1


def _url(metainfo: Metainfo, web_seed: str, at: int) -> str:
    """The names are those that the torrent gives: twins got new ones on our disk only."""
    path = metainfo.renamed.get(at, metainfo.files[at].path)
    if metainfo.single_file and not web_seed.endswith("/"):
        return web_seed
    slash = "" if web_seed.endswith("/") else "/"
    return web_seed + slash + "/".join(quote(name, safe="") for name in path)
