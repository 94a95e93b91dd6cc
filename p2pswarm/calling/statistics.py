"""How good a call is: what both sides count, and what follows of it.

Sans-IO. Twice a second each side tells the other what it heard (as RTCP, RFC 3550, 6.4). The answer to
one's own clock, less the time for which it was held, is how long the way there and back takes. From mouth to
ear it takes the 20 ms of a frame, half of that way, and what the jitter buffer waits: the clocks of two
machines do not agree, so nobody can measure more than that from inside.
"""

from dataclasses import dataclass

from p2pswarm.calling.jitter import FRAME, JitterBuffer
from p2pswarm.wire.calling.media import Report

__all__ = ["Counts", "Quality"]


@dataclass(frozen=True, slots=True)
class Quality:
    """Of one second, or of a whole call. Times in seconds, rates in bits per second, shares from 0 to 1."""

    sent: int
    """Frames that we sent,"""
    heard: int
    """those of the other side that were played,"""
    lost: int
    """and those that were not: they did not come, or came late."""
    loss: float
    loss_there: float
    """What of ours the other side lost, in the whole call."""
    jitter: float
    rtt: float | None
    delay: float | None
    """From mouth to ear; None until the way was measured."""
    rate_out: float
    rate_in: float


class Counts:
    """One side's. `said` and `came` count; `quality` sums up what there was since it was last asked."""

    def __init__(self, buffer: JitterBuffer, now: float) -> None:
        self._buffer = buffer
        self._began = self._since = now
        self._sent = self._out = self._in = 0
        self._before = (0, 0, 0, 0, 0)
        self._theirs: Report | None = None
        self._theirs_came = 0.0
        self.rtt: float | None = None
        self.loss_there_now = 0.0
        """What of ours was lost between the last two reports."""

    def said(self, size: int) -> None:
        """A frame of so many bytes was sent."""
        self._sent += 1
        self._out += size

    def came(self, size: int) -> None:
        self._in += size

    def report(self, now: float) -> Report:
        """What the other side is told."""
        theirs = self._theirs
        buffer = self._buffer
        return Report(
            self._sent,
            buffer.heard,
            buffer.lost,
            int(buffer.jitter * 1e6),
            _clock(now),
            0 if theirs is None else theirs.clock,
            0 if theirs is None else int((now - self._theirs_came) * 1000),
        )

    def got_report(self, report: Report, now: float) -> None:
        if report.echo:
            took = (_clock(now) - report.echo - report.held) & 0xFFFFFFFF
            if took < 60_000:  # or they made it up
                self.rtt = took / 1000
        before = self._theirs
        heard, lost = report.heard, report.lost
        if before is not None:
            heard, lost = heard - before.heard, lost - before.lost
        self.loss_there_now = _share(lost, heard)
        self._theirs, self._theirs_came = report, now

    def quality(self, now: float) -> Quality:
        """Since it was last asked."""
        totals = (self._sent, self._buffer.heard, self._buffer.lost, self._out, self._in)
        since = tuple(new - old for new, old in zip(totals, self._before, strict=True))
        seconds, self._since, self._before = now - self._since, now, totals
        return self._summed(since, seconds)

    def whole(self, now: float) -> Quality:
        """Since the call began."""
        buffer = self._buffer
        totals = (self._sent, buffer.heard, buffer.lost, self._out, self._in)
        return self._summed(totals, now - self._began)

    def _summed(self, counts: tuple[int, ...], seconds: float) -> Quality:
        sent, heard, lost, out, came = counts
        theirs = self._theirs
        return Quality(
            sent,
            heard,
            lost,
            _share(lost, heard),
            0.0 if theirs is None else _share(theirs.lost, theirs.heard),
            self._buffer.jitter,
            self.rtt,
            None if self.rtt is None else FRAME + self.rtt / 2 + self._buffer.delay,
            out * 8 / seconds if seconds > 0 else 0.0,
            came * 8 / seconds if seconds > 0 else 0.0,
        )


def _share(lost: int, heard: int) -> float:
    lost = max(lost, 0)
    return lost / (lost + heard) if lost + heard > 0 and heard >= 0 else 0.0


def _clock(now: float) -> int:
    """Milliseconds, never 0, which means that there was none."""
    return (int(now * 1000) & 0xFFFFFFFF) or 1
