"""The page in a real browser, if there is one: a query is stepped through and the counters are read."""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from p2pswarm.lab import report
from p2pswarm.lab.results import Node, Result, Spread
from tests.lab import samples
from tests.support.browser import Browser, chromium, opened

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(
        chromium() is None and os.environ.get("CI") != "true",
        reason="NO BROWSER: apt-get install chromium",
    ),
]

# A child (4) asks its parent (0); two ways lead to 2, and the child of 2 has it.
NODES = (
    Node("super"),
    Node("super"),
    Node("super"),
    Node("super"),
    Node("child", 0),
    Node("child", 2),
)
STEPS = (((4, 0),), ((0, 1), (0, 3)), ((1, 2), (3, 2)))
SPREAD = Spread("two ways", NODES, ((0, 1), (0, 3), (1, 2), (2, 3)), 4, STEPS, (5,))
EVIL = "</script><script>window.ran = 1</script><img src=x onerror='window.ran = 1'>"

COUNTERS = """Object.fromEntries([...document.querySelectorAll('.play [data-count]')].slice(0, 5)
    .map(each => [each.dataset.count, each.textContent]))"""
FRAMES = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


def until(condition: str) -> str:
    """A promise that waits for it, frame by frame."""
    look = f"const look = () => ({condition}) ? done() : requestAnimationFrame(look); look();"
    return f"new Promise(done => {{ {look} }})"


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    page = tmp_path / "page.html"
    sample = samples.result(EVIL)
    charts = (*sample.charts, samples.many_bars())
    result = Result(EVIL, EVIL, {}, sample.tables, charts, (SPREAD, *sample.spreads))
    page.write_text(report.page(result), "utf-8")
    async with opened(page, tmp_path / "profile") as browser:
        await browser.run(until("document.querySelector('.play').player"))
        yield browser


async def press(browser: Browser, act: str) -> dict[str, str]:
    await browser.run(f"document.querySelector('.play [data-act={act}]').click()")
    found: dict[str, str] = await browser.run(COUNTERS)
    return found


async def test_each_step_counts_its_messages(browser: Browser) -> None:
    seen = [await press(browser, "reset"), *[await press(browser, "step") for _ in range(6)]]
    assert [each["messages"] for each in seen] == ["0", "1", "3", "5", "5", "5", "5"]
    assert [each["duplicates"] for each in seen][2:4] == ["0 (0 %)", "1 (20 %)"]
    covered = [each["covered"] for each in seen]
    assert covered == ["16.7 %", "33.3 %", "66.7 %", *["100.0 %"] * 4]
    assert [each["found"][0] for each in seen] == ["0", "0", "0", "1", "1", "1", "1"]
    assert [each["back"] for each in seen] == ["0", "0", "0", "0", "0", "0", "1"]
    assert (await press(browser, "back"))["back"] == "0"


async def test_it_plays_and_pauses(browser: Browser) -> None:
    time = "document.querySelector('.play').player.time"
    await press(browser, "play")
    await browser.run(until(f"{time} > 0.1"))
    await press(browser, "play")
    paused = await browser.run(time)
    assert 0.1 < paused < 6
    await browser.run(FRAMES)
    assert await browser.run(time) == paused


async def test_less_motion_shows_whole_hops(browser: Browser) -> None:
    time = "document.querySelector('.play').player.time"
    still = [{"name": "prefers-reduced-motion", "value": "reduce"}]
    await browser.call("Emulation.setEmulatedMedia", features=still)
    await press(browser, "play")
    await browser.run(f"window.times = []; {until(f'window.times.push({time}), {time} >= 2')}")
    assert await browser.run("[...new Set(window.times)]") == [0, 1, 2]


async def test_the_canvas_is_painted_and_charts_are_drawn(browser: Browser) -> None:
    for number in range(4):
        await browser.run(f"document.querySelectorAll('.chart')[{number}].scrollIntoView()")
        svg = f"document.querySelectorAll('.picture')[{number}].querySelector('svg')"
        await browser.run(until(f"{svg}?.childElementCount > 12"))
    colours = await browser.run(
        "(() => { const c = document.querySelector('canvas');"
        " const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        " return new Set(new Uint32Array(d.buffer)).size; })()"
    )
    assert colours > 20


async def test_the_arrow_keys_read_a_chart(browser: Browser) -> None:
    plot = "document.querySelectorAll('.picture')[3].querySelector('.plot')"
    await browser.run("document.querySelectorAll('.chart')[3].scrollIntoView()")
    await browser.run(until(f"{plot}?.querySelector('svg')"))
    for _ in range(2):
        await browser.run(
            f"{plot}.dispatchEvent(new KeyboardEvent('keydown', {{key: 'ArrowRight'}}))"
        )
    tip = await browser.run(f"{plot}.querySelector('.tip').innerText")
    assert tip.split("\n") == ["flat flood: super node", "mean: 3"]


async def test_no_text_runs_and_nothing_goes_wrong(browser: Browser) -> None:
    assert await browser.run("typeof window.ran") == "undefined"
    assert await browser.run("document.querySelector('h1').textContent") == EVIL
    assert await browser.run("performance.getEntriesByType('resource').length") == 0
    assert not browser.said, json.dumps(browser.said)


async def test_paper_has_what_nobody_scrolled_to(browser: Browser) -> None:
    blank = """[...document.querySelectorAll('.play, .picture')]
        .filter(each => !each.querySelector('canvas, svg')).length"""
    assert await browser.run(blank) > 0
    await browser.run("void dispatchEvent(new Event('beforeprint'))")
    assert await browser.run(blank) == 0
