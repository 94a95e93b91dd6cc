"""Where the names of dots go: each beside its dot, or near it with a line to it, and none over another.

Architectures that find everything stand in one row at the top of a chart of cost against recall, and their
names are longer than the ways between them. `page/charts.js` does the same on the page.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Box", "placed"]

_GAP = 9.0  # between a dot and its name
_LEVELS = 12


@dataclass(frozen=True)
class Box:
    """A rectangle; y grows upwards."""

    left: float
    bottom: float
    right: float
    top: float

    def meets(self, other: "Box") -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.bottom < other.top
            and other.bottom < self.top
        )

    def holds(self, other: "Box") -> bool:
        return (
            self.left <= other.left
            and other.right <= self.right
            and self.bottom <= other.bottom
            and other.top <= self.top
        )


def placed(
    dots: Sequence[tuple[float, float]],
    widths: Sequence[float],
    height: float,
    area: Box,
    others: Sequence[tuple[float, float]] = (),
) -> list[Box]:
    """A box for each dot's name, so wide and high; best one whose line to its dot crosses no other name.

    `others` are dots without a name. Without room, the first place is as good as another.
    """
    taken = [Box(x - 6, y - 6, x + 6, y + 6) for x, y in (*dots, *others)]
    names: list[Box] = []
    lines: list[Box] = []
    for dot, width in zip(dots, widths, strict=True):
        every = list(_places(dot, width, height))
        free = [box for box in every if area.holds(box) and not any(map(box.meets, taken))]
        clear = (
            box
            for box in free
            if not any(map(box.meets, lines)) and not any(map(_line(dot, box).meets, names))
        )
        chosen = next(clear, (free or every)[0])
        names.append(chosen)
        lines.append(_line(dot, chosen))
        taken.append(chosen)
    return names


def _line(dot: tuple[float, float], name: Box) -> Box:
    """What lies between a dot and its name."""
    x, y = dot
    end = min(max(x, name.left), name.right)
    left, right = sorted((x, end))
    return Box(left - 1, min(y, name.top), right + 1, max(y, name.bottom))


def _places(dot: tuple[float, float], width: float, height: float) -> Iterator[Box]:
    """At the right, at the left, then below and above, farther and farther away."""
    x, y = dot
    beside = y - height / 2
    yield Box(x + _GAP, beside, x + _GAP + width, beside + height)
    yield Box(x - _GAP - width, beside, x - _GAP, beside + height)
    for level in range(1, _LEVELS):
        for bottom in (beside - level * height * 1.15, beside + level * height * 1.15):
            for part in (0.5, 0.0, 1.0, -0.4, 1.4):
                left = x - part * width
                yield Box(left, bottom, left + width, bottom + height)
