"""What a person sees in a browser: the tracker's page and the list of hosted torrents.

Everything that comes from outside is escaped; the pages run no scripts and load nothing.
"""

from collections.abc import Sequence
from html import escape
from typing import Any
from urllib.parse import quote

from p2pswarm.wire.tracker import Counts
from tracker.torrents import Hosted

__all__ = ["HEADERS", "home", "index", "page", "readable_size"]

HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; width: 100%; }}
td, th {{ padding: .3rem .6rem; text-align: right; border-bottom: 1px solid #8884; }}
td:first-child, th:first-child {{ text-align: left; overflow-wrap: anywhere; }}
code {{ background: #8882; padding: .1rem .3rem; }}
:root {{ color-scheme: light dark; }}
</style></head><body>
<h1>{title}</h1>
{body}
</body></html>
"""


def page(title: str, body: str) -> str:
    """A whole page; `title` is ours, `body` is HTML."""
    return _PAGE.format(title=title, body=body)


def home(announce_url: str, report: dict[str, Any]) -> str:
    """The front page; `report` is what `/stats` says."""
    rows = "".join(
        f"<tr><td>{escape(name.replace('_', ' '))}</td><td>{escape(str(value))}</td></tr>"
        for name, value in report.items()
    )
    body = (
        f"<p>Announce to <code>{escape(announce_url)}</code>.</p>"
        '<p><a href="/t/">Torrents hosted here</a> · <a href="/stats">these numbers as JSON</a></p>'
        f"<table>{rows}</table>"
    )
    return page("p2pswarm tracker", body)


def index(offers: Sequence[tuple[Hosted, Counts]]) -> str:
    """The list of hosted torrents with the sizes of their swarms."""
    if not offers:
        return page("Torrents", "<p>No torrents are hosted here.</p>")
    rows = "".join(
        f'<tr><td><a href="/t/{quote(hosted.name, safe="")}">{escape(hosted.name)}</a></td>'
        f"<td>{readable_size(hosted.total)}</td><td>{counts.complete}</td>"
        f"<td>{counts.incomplete}</td><td>{counts.downloaded}</td></tr>"
        for hosted, counts in offers
    )
    heads = "<tr><th>torrent<th>size<th>seeds<th>leechers<th>downloads</tr>"
    return page("Torrents", f"<table>{heads}{rows}</table>")


def readable_size(size: int) -> str:
    """Bytes for a person: `512 B`, `1.5 GiB`."""
    number, units = float(size), ["B", "KiB", "MiB", "GiB", "TiB"]
    while number >= 1024 and len(units) > 1:
        number /= 1024
        units.pop(0)
    return f"{number:.0f} B" if units[0] == "B" else f"{number:.1f} {units[0]}"
