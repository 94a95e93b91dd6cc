"""One page for one or more results: a file that shows everything and asks nothing of any network.

HTML, style, scripts and data are in the file itself. Its content security policy names the one style and the
one script by their hashes and forbids all else, so that a text which should slip through as markup would not
run. Tables are written here and can be read without scripts; `page/` holds what draws and moves.
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from html import escape
from importlib import resources
from string import Template

from p2pswarm.lab import colours, tables
from p2pswarm.lab.results import Chart, Result, Spread, Table, to_json

__all__ = ["page"]

_SCRIPTS = (
    "d3-force.js",
    "elements.js",
    "axes.js",
    "bars.js",
    "charts.js",
    "flow.js",
    "layout.js",
    "stage.js",
    "player.js",
    "page.js",
)

_LETTERS = 60  # below bars


def page(*results: Result) -> str:
    """The whole page. Raises ValueError for what JSON has no word for, as `to_json` does."""
    style = _style() + _read("page.css")
    script = "\n".join(_read(name) for name in _SCRIPTS)
    policy = (
        f"default-src 'none'; style-src {_hashed(style)}; script-src {_hashed(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return Template(_read("page.html")).substitute(
        title=escape(", ".join(result.name for result in results) + ": p2pswarm laboratory"),
        policy=escape(policy),
        nav="".join(_links(results)),
        results="\n".join(_section(number, result) for number, result in enumerate(results, 1)),
        style=style,
        script=script,
    )


def _read(name: str) -> str:
    return (resources.files("p2pswarm.lab") / "page" / name).read_text("utf-8")


def _hashed(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _style() -> str:
    """The palette, so that it stands in one place: `--c3` and the class `.c3`."""
    light, dark = (
        "".join(f"--c{place}:{shades[at]};" for place, shades in enumerate(colours.PALETTE))
        for at in (0, 1)
    )
    classes = "".join(
        f".c{place}{{--own:var(--c{place})}}" for place in range(len(colours.PALETTE))
    )
    return f":root{{{light}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}{classes}\n"


def _links(results: tuple[Result, ...]) -> Iterator[str]:
    for number, result in enumerate(results, 1):
        yield f'<a href="#r{number}">{escape(result.name)}</a>'
        if len(results) == 1:
            for part, shown in (
                ("spreads", result.spreads),
                ("charts", result.charts),
                ("tables", result.tables),
            ):
                if shown:
                    yield f'<a href="#r{number}-{part}">{part}</a>'


def _section(number: int, result: Result) -> str:
    here = f"r{number}"
    places = json.dumps(dict(colours.chosen(result.charts)))
    parts = (
        ("spreads", "A query on its way", [_spread(spread) for spread in result.spreads]),
        ("charts", "Charts", [_chart(chart) for chart in result.charts]),
        ("tables", "Tables", [_card(table) for table in result.tables]),
    )
    shown = "".join(
        f'<section class="{part}" id="{here}-{part}"><h2>{title}</h2>{"".join(cards)}</section>'
        for part, title, cards in parts
        if cards
    )
    return (
        f'<article class="result" id="{here}" data-places="{escape(places)}">'
        f'<header class="question"><p class="name">{escape(result.name)}</p>'
        f"<h1>{escape(result.question)}</h1>{_facts(result.facts)}</header>"
        f"{shown}{_data(result)}</article>"
    )


def _facts(facts: Mapping[str, object]) -> str:
    """Written as cells are; a seed is a name rather than a number."""
    cell = {
        name: tables.cells(Table("", ("",), ((str(value) if name == "seed" else value,),)))[0][0]
        for name, value in facts.items()
    }
    items = (
        f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in cell.items()
    )
    return f'<dl class="facts">{"".join(items)}</dl>'


def _spread(spread: Spread) -> str:
    return f'<section class="card spread"><h3>{escape(spread.title)}</h3><div class="play"></div></section>'


def _chart(chart: Chart) -> str:
    figures = _table(tables.figures(chart))
    kind = "card chart wide" if _is_wide(chart) else "card chart"
    return (
        f'<figure class="{kind}"><figcaption><h3>{escape(chart.title)}</h3></figcaption>'
        f'<div class="picture"></div><details><summary>Numbers</summary>{figures}</details></figure>'
    )


def _is_wide(chart: Chart) -> bool:
    """Long names of bars and many named dots want the whole width of the page."""
    return sum(map(len, chart.ticks)) > _LETTERS or (
        chart.kind == "scatter" and len(chart.lines) > 5
    )


def _card(table: Table) -> str:
    return f'<section class="card"><h3>{escape(table.title)}</h3>{_table(table)}</section>'


def _table(table: Table) -> str:
    kinds = ["number" if right else "word" for right in tables.numeric(table)]
    heads = "".join(
        f'<th scope="col" class="{kind}">{escape(column)}</th>'
        for kind, column in zip(kinds, table.columns, strict=True)
    )
    rows = "".join(
        "<tr>" + "".join(_td(kind, cell) for kind, cell in zip(kinds, row, strict=True)) + "</tr>"
        for row in tables.cells(table)
    )
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    head = f"<thead><tr>{heads}</tr></thead>"
    frame = f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(table.title)}">'
    return f"{frame}<table>{head}<tbody>{rows}</tbody></table></div>{note}"


def _td(kind: str, cell: str) -> str:
    return f'<td class="{kind}">{escape(cell)}</td>'


def _data(result: Result) -> str:
    """JSON that no HTML parser can read a tag or an end in."""
    text = to_json(result)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return f'<script type="application/json">{text}</script>'
