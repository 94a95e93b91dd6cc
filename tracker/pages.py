"""What a person sees in a browser: the tracker's page and the list of hosted torrents.

Everything that comes from outside is escaped; the pages run no scripts and load nothing.
"""

from html import escape
from typing import Any
from urllib.parse import quote

from tracker.catalog import ORDERS, Offer, Shown
from tracker.torrents import Hosted

__all__ = [
    "FORM_HEADERS", "HEADERS", "home", "index", "page", "paragraph", "readable_size", "uploaded",
]  # fmt: skip

HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; "
    "form-action 'self'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

FORM_HEADERS = {**HEADERS, "Referrer-Policy": "same-origin"}
"""Of pages with a form: without it a browser would not say that the form is ours."""

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


def paragraph(text: str) -> str:
    """HTML of a plain text."""
    return f"<p>{escape(text)}</p>"


def index(shown: Shown, *, uploads: bool) -> str:
    """The list of hosted torrents with the sizes of their swarms, one page of it."""
    form = _UPLOAD if uploads else ""
    if not shown.offers:
        words = "Nothing is found." if shown.wish.words else "No torrents are hosted here."
        return page("Torrents", _search(shown) + paragraph(words) + form)
    heads = "<tr><th>torrent<th>size<th>files<th>seeds<th>leechers<th>downloads<th></tr>"
    rows = "".join(map(_row, shown.offers))
    table = f"<table>{heads}{rows}</table>"
    return page("Torrents", _search(shown) + table + _turning(shown) + form)


def uploaded(hosted: Hosted) -> str:
    """What whoever uploaded a torrent sees."""
    here = f'<p><a href="{_url(hosted)}">{escape(hosted.name)}</a> is hosted now.</p>'
    return page("Taken", here + '<p><a href="/t/">All torrents</a></p>')


def _row(offer: Offer) -> str:
    hosted, counts = offer
    return (
        f'<tr><td><a href="{_url(hosted)}">{escape(hosted.name)}</a></td>'
        f"<td>{readable_size(hosted.total)}</td><td>{hosted.files}</td><td>{counts.complete}</td>"
        f"<td>{counts.incomplete}</td><td>{counts.downloaded}</td>"
        f'<td><a href="{escape(hosted.magnet)}">magnet</a></td></tr>'
    )


def _url(hosted: Hosted) -> str:
    return f"/t/{quote(hosted.name, safe='')}"


def _search(shown: Shown) -> str:
    chosen = shown.wish.order
    orders = "".join(f"<option{' selected' * (each == chosen)}>{each}" for each in ORDERS)
    return (
        f'<form action="/t/"><input name="q" value="{escape(shown.wish.words)}" maxlength="200">'
        f' <select name="sort">{orders}</select> <button>Search</button></form>'
    )


def _turning(shown: Shown) -> str:
    """The way to the pages before and behind."""
    here, said = (
        shown.wish.page,
        [f"{shown.found} torrents, page {shown.wish.page} of {shown.pages}"],
    )
    if here > 1:
        said.append(f'<a href="{escape(shown.wish.url(here - 1))}">back</a>')
    if here < shown.pages:
        said.append(f'<a href="{escape(shown.wish.url(here + 1))}">on</a>')
    return f"<p>{' · '.join(said)}</p>"


_UPLOAD = """<h2>Add a torrent</h2>
<form action="/t/" method="post" enctype="multipart/form-data">
<p><label>Token <input type="password" name="token" autocomplete="off" required></label></p>
<p><label>File <input type="file" name="torrent" accept=".torrent" required></label></p>
<p><button>Upload</button></p></form>"""


def readable_size(size: int) -> str:
    """Bytes for a person: `512 B`, `1.5 GiB`."""
    number, units = float(size), ["B", "KiB", "MiB", "GiB", "TiB"]
    while number >= 1024 and len(units) > 1:
        number /= 1024
        units.pop(0)
    return f"{number:.0f} B" if units[0] == "B" else f"{number:.1f} {units[0]}"
