"""Frames come unevenly and are played evenly: the jitter buffer.

Sans-IO. `put` takes what came, `take` is called every 20 ms and says what is played: a frame, or nothing but
the frame after it, from which a decoder makes up what is missing. Between the two there is a delay, as long
as the last seconds were uneven: frames that come late make it longer, quiet times shorter by and by.

The one hard thing: a longer delay is a pause and a shorter one a gap, and both are heard. So it grows by a
frame at a time and only while frames come late, and shrinks by one in a second at most.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum

from p2pswarm.wire.calling.media import Voice

__all__ = ["FRAME", "JitterBuffer", "Made", "Played"]

FRAME = 0.02  # seconds
LEAST, FIRST, MOST = 0.04, 0.06, 0.5  # seconds of delay
MEMORY = 250  # frames of which we know how evenly they came: five seconds
ON_TIME = 0.99  # of the frames in memory shall be there when they are needed
FAR = 1500  # frames; who jumps that far ahead has begun anew
SILENT = 10  # frames made up in a row; then there is silence until something comes
SHRINK_EVERY = 50  # frames
_KEPT = int(MOST / FRAME) * 2


class Made(Enum):
    """Where something that is played came from."""

    HEARD = "heard"
    MISSING = "missing"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Played:
    """What is played now: `opus` is of this frame or, when it is missing, of the one after it."""

    number: int
    made: Made
    opus: bytes | None


class JitterBuffer:
    """`heard + lost` is how many frames should have been played until the last that was."""

    def __init__(self) -> None:
        self.heard = self.lost = self.late = 0
        self.jitter = 0.0
        """Seconds, as in RFC 3550, 6.4.1."""
        self.delay = FIRST
        """Seconds between the moment when a fast frame would be there and the one when it is played."""
        self._waiting: dict[int, bytes] = {}
        self._done: deque[int] = deque(maxlen=_KEPT)  # those that were heard last
        self._next: int | None = None  # the number that is played next
        self._starts = 0.0  # when the first is played
        self._transits: deque[float] = deque(maxlen=MEMORY)
        self._missing = 0  # in a row
        self._silent = False  # nothing is played until something comes
        self._takes = 0  # since the delay was changed last
        self._was_late = False

    def put(self, voice: Voice, now: float) -> None:
        """A frame came; `now` in seconds."""
        number = voice.number
        if number in self._waiting or number in self._done:
            return  # it came by two ways
        if self._next is None or self._silent or abs(number - self._next) > FAR:
            self._begin(number, now)
        self._measure(now - number * FRAME)
        assert self._next is not None
        if now < self._starts:
            self._next = min(self._next, number)
        if number < self._next:
            self.late += 1
            self._was_late = True
        elif len(self._waiting) < _KEPT:
            self._waiting[number] = voice.opus

    def take(self, now: float) -> Played | None:
        """What is played in these 20 ms; None before the first and in silence."""
        if self._next is None or self._silent or now < self._starts:
            return None
        self._takes += 1
        self.delay = now - self._next * FRAME - min(self._transits)
        wanted = self._wanted()
        if self._was_late and self.delay + FRAME <= wanted:
            self._takes = 0
            return Played(self._next, Made.PAUSED, None)
        self._was_late = False
        if self.delay > wanted + 2 * FRAME and self._takes > SHRINK_EVERY:
            self._takes = 0
            self._waiting.pop(self._next, None)
            self._next += 1
        return self._played(self._next)

    def _played(self, number: int) -> Played | None:
        opus = self._waiting.pop(number, None)
        self._next = number + 1
        if opus is not None:
            self.heard += 1
            self.lost += self._missing
            self._missing = 0
            self._done.append(number)
            return Played(number, Made.HEARD, opus)
        self._missing += 1  # lost, if anything comes after it
        if self._missing > SILENT and not self._waiting:
            self._rest()
            return None
        return Played(number, Made.MISSING, self._waiting.get(number + 1))

    def _rest(self) -> None:
        """Nobody speaks, or all is lost: the number of the next that comes will tell."""
        assert self._next is not None
        self._next -= self._missing
        self._silent = True

    def _begin(self, number: int, now: float) -> None:
        if self._next is not None and 0 < number - self._next <= FAR:
            self.lost += number - self._next
        self._waiting.clear()
        self._transits.clear()
        self._next, self._starts = number, now + FIRST
        self._silent = False
        self._missing = 0

    def _measure(self, transit: float) -> None:
        if self._transits:
            self.jitter += (abs(transit - self._transits[-1]) - self.jitter) / 16
        self._transits.append(transit)

    def _wanted(self) -> float:
        """The delay with which nearly all of the last frames would have been in time."""
        ordered = sorted(self._transits)
        uneven = ordered[int((len(ordered) - 1) * ON_TIME)] - ordered[0]
        return min(max(uneven + FRAME, LEAST), MOST)
