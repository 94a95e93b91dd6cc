"""Charts drawn by matplotlib: there, the same each time, and without it one clear line."""

import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from p2pswarm.errors import HostError
from p2pswarm.lab import colours, plots
from p2pswarm.lab.results import Chart, Kind, Line
from tests.lab import samples

KINDS: tuple[Kind, ...] = ("line", "bar", "scatter")


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_chart_gives_the_same_bytes(kind: Kind) -> None:
    chart = samples.chart(kind)
    assert plots.as_svg(chart) == plots.as_svg(chart)
    assert plots.as_png(chart) == plots.as_png(chart)


@pytest.mark.parametrize("kind", KINDS)
def test_title_axes_and_lines_are_named(kind: Kind) -> None:
    chart = samples.chart(kind)
    svg = plots.as_svg(chart).decode()
    said = {(text.text or "").strip() for text in ET.fromstring(svg).iter() if "text" in text.tag}
    assert {chart.title, chart.x, chart.y} <= said
    assert {line.label for line in chart.lines} <= said
    assert plots.as_png(chart).startswith(b"\x89PNG")


def test_a_title_is_no_formula() -> None:
    chart = Chart("costs $1 and $2_", "x", "y", (Line("a", ((1, 2), (2, 3))),))
    assert "costs $1 and $2_" in plots.as_svg(chart).decode()


def test_log_axes_have_plain_numbers() -> None:
    svg = plots.as_svg(samples.chart("scatter")).decode()
    assert ">10,000</text>" in svg
    assert "mathdefault" not in svg


def test_bars_with_long_names_lie_and_the_names_are_whole() -> None:
    chart = samples.many_bars()
    root = ET.fromstring(plots.as_svg(chart).decode())
    said = [(text.text or "").strip() for text in root.iter() if "text" in text.tag]
    assert set(chart.ticks) <= set(said)
    assert {chart.y, "mean", "max"} <= set(said)


def test_dots_of_one_name_are_named_once() -> None:
    lines = (Line("walks", ((10, 0.1), (100, 0.4), (1000, 0.6))), Line("flood", ((900, 0.9),)))
    svg = plots.as_svg(Chart("c", "x", "y", lines, "scatter", log_x=True)).decode()
    assert svg.count(">walks</text>") == 1


def test_nothing_of_the_day_or_the_machine_is_in_it() -> None:
    svg = plots.as_svg(samples.chart("line")).decode()
    assert "dc:date" not in svg
    assert "Matplotlib v" not in svg


def test_all_charts_of_a_result_are_written(tmp_path: Path) -> None:
    written = plots.write(samples.result(), tmp_path)
    assert [path.name for path in written] == [
        f"compare-{number}.{kind}" for number in (1, 2, 3) for kind in ("svg", "png")
    ]
    assert all(path.stat().st_size > 1000 for path in written)


def test_without_matplotlib_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(HostError, match=r"pip install 'p2pswarm\[lab\]'"):
        plots.as_svg(samples.chart("line"))


def test_an_architecture_has_one_colour_in_every_picture() -> None:
    alone = colours.chosen([samples.chart("line")])
    together = colours.chosen([samples.chart("bar"), samples.chart("scatter")])
    assert alone["flood"] == together["flood"]
    assert alone["super nodes"] == together["super nodes"]
    assert len(set(together.values())) == len(together)


def test_more_lines_than_colours_are_drawn_all_the_same() -> None:
    lines = tuple(Line(f"line {number}", ((1, number),)) for number in range(12))
    assert len(colours.chosen([Chart("many", "x", "y", lines)])) == 12
