"""Charts as SVG and PNG for docs, by matplotlib, the extra `lab`.

The same chart gives the same bytes: no date, and ids from a fixed salt. matplotlib is imported when something
is drawn; without it that is a `HostError` of one line, and tables and the page stay as they are. Its settings
hold for one drawing only, so that a program that draws itself keeps its own.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p2pswarm.errors import HostError
from p2pswarm.lab import colours, drawing
from p2pswarm.lab.results import Chart, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["as_png", "as_svg", "write"]

_SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "p2pswarm",
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",  # comes with matplotlib: widths are the same everywhere
    "font.size": 9,
    "text.parse_math": False,  # a name with two dollar signs is no formula
    "axes.edgecolor": "#6b7683",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titleweight": "bold",
    "axes.titlesize": 10,
    "grid.color": "#e3e7ec",
    "legend.frameon": False,
}

Places = Mapping[str, int]


def write(result: Result, folder: Path) -> list[Path]:
    """Every chart as `NAME-1.svg` and `.png` and so on, an architecture in one colour in all of them."""
    places = colours.chosen(result.charts)
    written = []
    for number, chart in enumerate(result.charts, 1):
        for kind, data in (("svg", as_svg(chart, places)), ("png", as_png(chart, places))):
            path = folder / f"{result.name}-{number}.{kind}"
            path.write_bytes(data)
            written.append(path)
    return written


def as_svg(chart: Chart, places: Places | None = None) -> bytes:
    """`places` are those of `colours.chosen`, when more charts go together."""
    with _drawn(chart, places) as figure:
        return _saved(figure, "svg", {"Date": None, "Creator": None})


def as_png(chart: Chart, places: Places | None = None) -> bytes:
    with _drawn(chart, places) as figure:
        return _saved(figure, "png", {"Software": None})


def _saved(figure: "Figure", kind: str, metadata: dict[str, None]) -> bytes:
    out = BytesIO()
    figure.savefig(out, format=kind, dpi=160, metadata=metadata, facecolor="white")
    return out.getvalue()


@contextmanager
def _drawn(chart: Chart, places: Places | None) -> Iterator["Figure"]:
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise HostError(
            "pictures are drawn by matplotlib, which is missing: pip install 'p2pswarm[lab]'"
        ) from error
    with mpl.rc_context({**mpl.rcParamsDefault, **_SETTINGS}):
        figure = Figure(layout="constrained")
        drawing.draw(figure, chart, _shades(places or colours.chosen([chart])))
        yield figure


def _shades(places: Places) -> dict[str, str]:
    return {label: colours.PALETTE[place][0] for label, place in places.items()}
