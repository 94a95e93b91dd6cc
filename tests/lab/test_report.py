"""The page: one file that needs nothing else, says what it was given, and runs nothing that it was given."""

import base64
import hashlib
import html
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.lab import report
from p2pswarm.lab.results import Chart, Line, Node, Result, Spread, Table, from_json
from tests.lab import samples

EVIL = """</script><script>alert('1')</script><img src=x onerror="alert(1)">&lt;<!-- $title"""


class Parsed(HTMLParser):
    """The tags with their attributes, and the texts of scripts, styles and everything else."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.words = ""
        self._open = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = tag
        {"script": self.scripts, "style": self.styles}.get(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open == "script":
            self.scripts[-1] += data
        elif self._open == "style":
            self.styles[-1] += data
        else:
            self.words += data

    def attributes(self, *names: str) -> list[str | None]:
        return [value for _, each in self.tags for name, value in each.items() if name in names]


def saying(text: str) -> Result:
    """Every text of it is this one."""
    table = Table(text, (text,), ((text,),), text)
    chart = Chart(text, text, text, (Line(text, ((0, 1),)),), "bar", ticks=(text,))
    spread = Spread(text, (Node(text), Node(text, 0)), ((0, 1),), 0, (((0, 1),),), (1,))
    return Result(text, text, {text: text, "seed": text}, (table,), (chart,), (spread,))


def test_the_page_loads_nothing() -> None:
    page = Parsed(report.page(samples.result()))
    assert not {tag for tag, _ in page.tags} & {"link", "img", "iframe", "object", "embed", "base"}
    assert all(link and link.startswith("#") for link in page.attributes("src", "href", "action"))
    assert not re.search(r"url\(|@import", "".join(page.styles))
    assert not re.search(
        r"\b(fetch|XMLHttpRequest|WebSocket|EventSource|sendBeacon|importScripts)\b|import\s*\(",
        "".join(page.scripts),
    )


def test_the_policy_allows_the_one_script_and_the_one_style() -> None:
    page = Parsed(report.page(samples.result()))
    policy = next(each["content"] for tag, each in page.tags if "http-equiv" in each)
    assert policy
    code = page.scripts[-1]
    for kind, text in (("script", code), ("style", "".join(page.styles))):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert not page.attributes("style")  # which the policy would forbid


def test_texts_stay_texts() -> None:
    harmless, page = Parsed(report.page(saying("plain"))), Parsed(report.page(saying(EVIL)))
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in harmless.tags]
    assert [set(each) for _, each in page.tags] == [set(each) for _, each in harmless.tags]
    assert page.words.count(EVIL) == harmless.words.count("plain") >= 8


@given(text=st.text(min_size=1))
@settings(max_examples=30)
def test_whatever_the_texts_are_the_page_has_the_same_tags(text: str) -> None:
    plain, odd = (Parsed(report.page(saying(each))) for each in ("plain", text))
    assert [tag for tag, _ in odd.tags] == [tag for tag, _ in plain.tags]


@pytest.mark.parametrize("result", [samples.result(), saying(EVIL)], ids=["sample", "evil"])
def test_the_page_holds_the_result(result: Result) -> None:
    page = Parsed(report.page(result))
    assert from_json(page.scripts[0]) == result


def test_every_number_is_in_a_table() -> None:
    page = Parsed(report.page(samples.result()))
    for number in ("31,000", "0.98", "6,301", "0.0270", "900"):
        assert number in page.words


def test_more_results_have_a_place_each() -> None:
    page = report.page(samples.result(), replace(samples.result(), name="storm"))
    ids = [each["id"] for _, each in Parsed(page).tags if "id" in each]
    assert len(ids) == len(set(ids))
    links = re.findall(r'<a href="#(r\d)">([^<]+)</a>', page)
    assert links == [("r1", "compare"), ("r2", "storm")]
    assert {target for target, _ in links} <= set(ids)


def test_parts_that_are_empty_are_left_out() -> None:
    page = report.page(Result("bare", "?", {}, (), ()))
    assert "r1-charts" not in page
    assert "<table" not in page


def test_the_same_results_give_the_same_page() -> None:
    assert report.page(samples.result()) == report.page(samples.result())


def test_a_title_is_written_once_escaped_not_twice() -> None:
    page = report.page(samples.result("a < b & c"))
    assert html.escape("a < b & c") in page
    assert "&amp;amp;" not in page


def test_colours_are_named_for_the_scripts() -> None:
    places: Any = Parsed(report.page(samples.result())).attributes("data-places")
    assert '"super nodes": 0' in places[0]
