"""What an experiment found: plain values between experiments, tables and pictures.

Everything in a `Result` is a number, a text or a tuple of these, so that it can be kept as JSON and read
again, equal to what it was. Nothing here knows how it will be drawn. The one hard thing: in a `Spread` every
message counts, also one that came to a node which had the query already (a duplicate); who draws it finds
the ways back from the first arrivals.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass
from typing import Any, Literal, TypeAlias

__all__ = ["Chart", "Kind", "Line", "Node", "Result", "Spread", "Table", "from_json", "to_json"]

Kind: TypeAlias = Literal["line", "bar", "scatter"]


@dataclass(frozen=True)
class Table:
    """Rows of texts and numbers (None: nothing to say); the note says what the numbers mean."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Line:
    """One row of points (x, y) under one name: an architecture, mostly."""

    label: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Chart:
    """Lines between axes. The axes' names hold the units.

    `ticks` are the names of x = 0, 1, 2 …, for bars over roles or architectures.
    """

    title: str
    x: str
    y: str
    lines: tuple[Line, ...]
    kind: Kind = "line"
    log_x: bool = False
    log_y: bool = False
    ticks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Node:
    """A node of the network. A parent is the index of a node; who has none is in the upper tier."""

    role: str
    parent: int | None = None


@dataclass(frozen=True)
class Spread:
    """One query on its way through a network; nodes are named by their index.

    `steps` holds the messages (from, to) of each hop. `hits` are the nodes that have what is sought; who
    answers for a child may be its parent. `edges` need not repeat the ways from children to parents.
    """

    title: str
    nodes: tuple[Node, ...]
    edges: tuple[tuple[int, int], ...]
    origin: int
    steps: tuple[tuple[tuple[int, int], ...], ...]
    hits: tuple[int, ...]


@dataclass(frozen=True)
class Result:
    """What was asked, what was held fixed (facts: seed, nodes, topology …), what came out."""

    name: str
    question: str
    facts: Mapping[str, object]
    tables: tuple[Table, ...]
    charts: tuple[Chart, ...]
    spreads: tuple[Spread, ...] = ()


def to_json(result: Result) -> str:
    """One line of JSON. Raises ValueError for what JSON has no word for: NaN, infinity, bytes."""
    try:
        return json.dumps(
            result, default=_fields, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        )
    except TypeError as error:
        raise ValueError(f"the result {result.name!r} holds what JSON cannot: {error}") from error


def _fields(value: object) -> dict[str, object]:
    if isinstance(value, Mapping):
        return dict(value)
    if is_dataclass(value):
        return vars(value)
    raise TypeError(f"a {type(value).__name__}")


def from_json(text: str) -> Result:
    """What `to_json` wrote. It is our own file: another text raises ValueError, KeyError or TypeError."""
    fields = json.loads(text)
    lists = {name: tuple(map(_VALUES[name], fields[name])) for name in _VALUES}
    return Result(**{**fields, **lists})


def _table(fields: dict[str, Any]) -> Table:
    return Table(**_tuples(fields))


def _chart(fields: dict[str, Any]) -> Chart:
    lines = tuple(Line(**_tuples(line)) for line in fields["lines"])
    return Chart(**{**_tuples(fields), "lines": lines})


def _spread(fields: dict[str, Any]) -> Spread:
    nodes = tuple(Node(**node) for node in fields["nodes"])
    return Spread(**{**_tuples(fields), "nodes": nodes})


def _tuples(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: _frozen(value) for name, value in fields.items()}


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


_VALUES: Mapping[str, Callable[[dict[str, Any]], object]] = {
    "tables": _table,
    "charts": _chart,
    "spreads": _spread,
}
