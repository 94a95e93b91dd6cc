"""What is drawn into a figure of matplotlib for each kind of chart.

Lines with marks, so that no eye needs colours; bars that lie when their names are long; dots with their names
near them. The one hard thing: names of dots find their places in points on the paper, so that layout is
settled before, and they take no part in it.
"""

from collections.abc import Mapping, Sequence
from math import hypot
from typing import TYPE_CHECKING, Any

from p2pswarm.lab import labels
from p2pswarm.lab.results import Chart, Line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

__all__ = ["draw"]

_MARKS = "os^Dv"
_LETTER = 5.2  # points, of DejaVu Sans at 9
_NEAR = 13  # points: a name so near needs no line
_WIDE = 330.0  # points, of the axes
_BARS = 0.8  # of the way from one group to the next

Shades = Mapping[str, str]  # of each label


def draw(figure: "Figure", chart: Chart, shades: Shades) -> None:
    """The whole chart, and the figure's size."""
    lying = chart.kind == "bar" and sum(map(len, chart.ticks)) * _LETTER > _WIDE
    high = 1 + 0.14 * len(chart.ticks) * (1 + len(chart.lines)) if lying else 0
    figure.set_size_inches(6.4, max(3.6, high))
    axes = figure.subplots()
    if lying:
        _lying(axes, chart)
    else:
        _upright(axes, chart)
    marks = {"line": _lines, "bar": _lying_bars if lying else _bars, "scatter": _dots}
    marks[chart.kind](axes, chart, shades)
    for axis in (axes.xaxis, axes.yaxis):
        _plain_numbers(axis)
    if chart.kind == "scatter":
        _names(axes, [line for line in chart.lines if line.points], shades)
    elif len(chart.lines) > 1:
        axes.legend()


def _plain_numbers(axis: "Axis") -> None:
    """1,000 rather than a power; within one decade the steps between are numbered, too."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    if axis.get_scale() == "log":
        low, high = axis.get_view_interval()
        plain = FuncFormatter(lambda value, _: f"{value:,.10g}")
        axis.set_major_formatter(plain)
        axis.set_minor_formatter(plain if high < 10 * low else NullFormatter())


def _upright(axes: "Axes", chart: Chart) -> None:
    axes.set_title(chart.title, loc="left")
    axes.set_xlabel(chart.x)
    axes.set_ylabel(chart.y)
    axes.set_xscale("log" if chart.log_x else "linear")
    axes.set_yscale("log" if chart.log_y else "linear")
    if chart.ticks:
        axes.set_xticks(range(len(chart.ticks)), chart.ticks)


def _lines(axes: "Axes", chart: Chart, shades: Shades) -> None:
    for number, line in enumerate(chart.lines):
        mark = _MARKS[number % len(_MARKS)]
        axes.plot(
            *_coordinates(line),
            color=shades[line.label],
            label=line.label,
            marker=mark,
            markersize=4,
            linewidth=1.8,
        )
    if not chart.log_y:
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))


def _bars(axes: "Axes", chart: Chart, shades: Shades) -> None:
    width = _BARS / max(1, len(chart.lines))
    for number, line in enumerate(chart.lines):
        xs, ys = _coordinates(line)
        shift = (number + 0.5) * width - _BARS / 2
        axes.bar(
            [x + shift for x in xs],
            ys,
            width * 0.94,
            color=shades[line.label],
            label=line.label,
        )
    axes.grid(visible=False, axis="x")


def _lying(axes: "Axes", chart: Chart) -> None:
    """For names that do not fit below bars that stand: the first on top."""
    axes.set_title(chart.title, loc="left")
    axes.set_ylabel(chart.x)
    axes.set_xlabel(chart.y)
    axes.set_xscale("log" if chart.log_y else "linear")
    axes.set_yticks(range(len(chart.ticks)), chart.ticks)
    axes.set_ylim(len(chart.ticks) - 0.4, -0.6)


def _lying_bars(axes: "Axes", chart: Chart, shades: Shades) -> None:
    high = _BARS / max(1, len(chart.lines))
    for number, line in enumerate(chart.lines):
        xs, ys = _coordinates(line)
        shift = (number + 0.5) * high - _BARS / 2
        places = [x + shift for x in xs]
        axes.barh(places, ys, high * 0.94, color=shades[line.label], label=line.label)
    axes.grid(visible=False, axis="y")


def _dots(axes: "Axes", chart: Chart, shades: Shades) -> None:
    """Each dot with its name near it: a legend would send the eye to and fro."""
    for number, line in enumerate(chart.lines):
        mark = _MARKS[number % len(_MARKS)]
        xs, ys = _coordinates(line)
        axes.plot(xs, ys, color=shades[line.label], linestyle=":", linewidth=1)
        axes.scatter(xs, ys, s=42, color=shades[line.label], marker=mark, zorder=3)
    axes.margins(x=0.08, y=0.12)


def _names(axes: "Axes", lines: Sequence[Line], shades: Shades) -> None:
    """Names take no part in the layout, which is settled before they find their places."""
    figure = axes.get_figure(root=True)
    assert figure
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    points = 72 / figure.dpi  # in a pixel
    dots = [_spot(axes, line.points[0]) for line in lines]
    others = [_spot(axes, point) for line in lines for point in line.points[1:]]
    frame = axes.get_window_extent()
    area = labels.Box(*(edge * points for edge in frame.extents))
    widths = [len(line.label) * _LETTER for line in lines]
    boxes = labels.placed(dots, widths, 12, area, others)
    for line, (x, y), box in zip(lines, dots, boxes, strict=True):
        axes.annotate(
            line.label,
            line.points[0],
            xytext=((box.left + box.right) / 2 - x, (box.bottom + box.top) / 2 - y),
            textcoords="offset points",
            ha="center",
            va="center",
            color=shades[line.label],
            arrowprops=_leader(shades[line.label], x, y, box),
        )


def _spot(axes: "Axes", point: tuple[float, float]) -> tuple[float, float]:
    """In points (1/72 inch) from the lower left."""
    figure = axes.get_figure(root=True)
    assert figure
    x, y = axes.transData.transform(point) * 72 / figure.dpi
    return float(x), float(y)


def _leader(shade: str, x: float, y: float, box: labels.Box) -> dict[str, Any] | None:
    """The line from a dot to the nearest point of its name, where one is needed."""
    across = min(1.0, max(0.0, (x - box.left) / (box.right - box.left)))
    up = min(1.0, max(0.0, (y - box.bottom) / (box.top - box.bottom)))
    end = (box.left + across * (box.right - box.left), box.bottom + up * (box.top - box.bottom))
    if hypot(end[0] - x, end[1] - y) < _NEAR:
        return None
    return {
        "arrowstyle": "-",
        "color": shade,
        "lw": 0.6,
        "shrinkA": 1,
        "shrinkB": 4,
        "relpos": (across, up),
    }


def _coordinates(line: Line) -> tuple[list[float], list[float]]:
    return [x for x, _ in line.points], [y for _, y in line.points]
