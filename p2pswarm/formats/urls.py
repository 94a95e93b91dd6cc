"""The URLs of a torrent: trackers and web seeds, of whatever scheme, read and written (BEP 3, 12, 19)."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from p2pswarm.formats import paths

__all__ = ["announce", "announced", "checked_url", "read_url", "urls_in"]

_MAX_URL = 2048  # characters
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#]+([/?#].*)?")


def announce(tiers: Sequence[Sequence[str]]) -> dict[bytes, object]:
    """The keys of a torrent that name these tiers (BEP 12). Raises ValueError for what is no URL."""
    urls = [[checked_url(url).encode() for url in tier] for tier in tiers if tier]
    if not urls:
        return {}
    first: dict[bytes, object] = {b"announce": urls[0][0]}
    return first if urls == [urls[0][:1]] else {**first, b"announce-list": urls}


def announced(torrent: Mapping[bytes, Any]) -> tuple[tuple[str, ...], ...]:
    """BEP 12: `announce-list`, where it holds any URL, in place of `announce`. No URL twice."""
    listed = torrent.get(b"announce-list")
    seen: set[str] = set()
    tiers = []
    for tier in listed if isinstance(listed, list) else ():
        urls = [url for url in urls_in(tier) if url not in seen]
        seen.update(urls)
        if urls:
            tiers.append(tuple(urls))
    alone = tuple(urls_in(torrent.get(b"announce")))
    return tuple(tiers) or ((alone,) if alone else ())


def checked_url(url: str) -> str:
    """The URL itself. Raises ValueError when it is none."""
    if read_url(url.encode(errors="replace")) != url:
        raise ValueError(f"{paths.shown(url)} is not a URL")
    return url


def urls_in(value: object) -> Iterable[str]:
    """The URLs of one string or of a list of strings, each once; junk is dropped."""
    items = value if isinstance(value, list) else [value]
    urls = (read_url(item) for item in items if isinstance(item, bytes))
    return dict.fromkeys(url for url in urls if url is not None)


def read_url(raw: bytes) -> str | None:
    """The URL, of whatever scheme; None for what is none, or longer than anybody needs.

    A space behind the host is written as it must be: people have them in the URLs of web seeds.
    """
    try:
        text = raw.decode().strip() if len(raw) <= _MAX_URL else ""
    except UnicodeDecodeError:
        return None
    return text.replace(" ", "%20") if _URL.fullmatch(text) and text.isprintable() else None
