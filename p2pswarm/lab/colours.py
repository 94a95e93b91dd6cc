"""One colour for each architecture, the same in every picture.

The pale one is for dark ground. Both have a contrast of 3:1 at least (WCAG 2.2, 1.4.11) and differ for people
who see few colours; drawings give each line its own mark besides.
"""

from collections.abc import Iterable, Mapping

from p2pswarm.lab.results import Chart

__all__ = ["PALETTE", "chosen"]

PALETTE = (  # on white, on dark
    ("#2563c9", "#6ea3ff"),
    ("#c8570a", "#ff9d4d"),
    ("#0b7f6e", "#3fcfb8"),
    ("#b8267f", "#f47fc0"),
    ("#6b40c4", "#b197ff"),
    ("#866500", "#e3bd45"),
    ("#52636f", "#a3b4c6"),
    ("#c22f28", "#ff7f75"),
    ("#35801f", "#8ad271"),
    ("#05789e", "#54c6ee"),
)

# What an architecture's name holds, and its place in the palette; the first that fits.
_FAMILIES = (
    ("iterative", 9),
    ("central", 8),
    ("napster", 8),
    ("super", 0),
    ("dynamic", 4),
    ("qrp", 5),
    ("last hop", 5),
    ("walk", 2),
    ("flood", 1),
    ("flat", 1),
)


def chosen(charts: Iterable[Chart]) -> Mapping[str, int]:
    """A place in the palette for each label: the architectures' own first, then what is free."""
    labels = dict.fromkeys(line.label for chart in charts for line in chart.lines)
    places: dict[str, int] = {}
    for label in labels:
        family = _family(label)
        if family is not None and family not in places.values():
            places[label] = family
    for label in [each for each in labels if each not in places]:
        free = set(range(len(PALETTE))) - set(places.values())
        places[label] = min(free) if free else len(places) % len(PALETTE)
    return places


def _family(label: str) -> int | None:
    lower = label.casefold()
    return next((place for word, place in _FAMILIES if word in lower), None)
