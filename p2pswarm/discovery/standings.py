"""How the trackers of a torrent do, told once for each of them.

A hybrid announces itself to every tracker twice, once for each swarm (BEP 52). Some trackers know one of the
two, and that is enough: a tracker does as well as it does where it does better.
"""

from collections.abc import Sequence
from dataclasses import replace

from p2pswarm.discovery.trackers import Trackers, TrackerStatus

__all__ = ["standings"]

_BEST_FIRST = ("working", "updating", "not contacted", "failed", "unsupported")


def standings(swarms: Sequence[Trackers]) -> tuple[TrackerStatus, ...]:
    """Of every tracker, in the torrent's order."""
    if len(swarms) == 1:
        return swarms[0].status()
    rows: dict[str, TrackerStatus] = {}
    for row in (row for trackers in swarms for row in trackers.status()):
        other = rows.get(row.url)
        rows[row.url] = row if other is None else _together(other, row)
    return tuple(rows.values())


def _together(one: TrackerStatus, other: TrackerStatus) -> TrackerStatus:
    """Most peers are in both swarms, so counts are not added."""
    best = min(one, other, key=lambda row: _BEST_FIRST.index(row.state))
    return replace(
        best,
        seeds=_most(one.seeds, other.seeds),
        leechers=_most(one.leechers, other.leechers),
        peers=_most(one.peers, other.peers),
        next_announce=_soonest(one.next_announce, other.next_announce),
    )


def _most(one: int | None, other: int | None) -> int | None:
    return max((count for count in (one, other) if count is not None), default=None)


def _soonest(one: float | None, other: float | None) -> float | None:
    return min((rest for rest in (one, other) if rest is not None), default=None)
