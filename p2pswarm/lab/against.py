"""Our figures beside those of `OVERLAYS.md` §5.3, which another program counted on the same crawl.

§5.3 counts queries alone, and its upper tiers are of drawn links. What it has of dynamic querying is
idealised, and what it has of a central index is one question and one answer: neither is compared.
"""

import re
from collections.abc import Iterable, Sequence
from statistics import fmean, stdev

from p2pswarm.lab.results import Table

__all__ = ["COUNTED", "against", "error"]

COUNTED = "p2p-Gnutella08", 13  # the crawl, and how many copies: 0.2 % of 6 301 peers

REFERENCE = {
    "flood TTL 5": (24_780, 0.84),
    "flood TTL 7": (35_233, None),
    "flood TTL 5 + QRP": (8_805, 0.84),
    "32 walkers x 64 steps": (2_048, 0.19),
    "200 ultrapeers, flood TTL 3": (5_757, 1.0),
    "62 super nodes, flood TTL 7": (1_798, 1.0),
}
"""Queries and recall, by the name of an architecture without its number of links; §5.3 has 63 super nodes."""
_LINKS = re.compile(r" \d+ links,")
_NOTE = (
    "Means over all questions, with the standard error of the mean. §5.3 counts queries alone, so queries "
    "are compared. It has 63 super nodes; of two networks with as many, the one with drawn links is here."
)


def against(measured: Iterable[tuple[str, Sequence[float], Sequence[float]]]) -> Table:
    """Of each architecture its name, the queries and the recall of each question."""
    rows: dict[str, tuple[object, ...]] = {}
    for name, queries, recalls in measured:
        kind = _LINKS.sub("", name)
        if kind in REFERENCE:
            known, found = REFERENCE[kind]
            rows.setdefault(kind, (name, *_about(queries, 1), known, *_about(recalls, 3), found))
    columns = ("architecture", "queries", "± s.e.", "§5.3", "recall", "± s.e.", "§5.3")
    return Table("Against the counts of §5.3", columns, tuple(rows.values()), _NOTE)


def _about(values: Sequence[float], digits: int) -> tuple[float, float]:
    return round(fmean(values), digits), round(error(values), digits)


def error(values: Sequence[float]) -> float:
    """The standard error of their mean."""
    return stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
