"""What happens to a torrent, told to whoever listens.

A listener that does not keep up loses the oldest events, never our memory. Nobody listens to most torrents
of a node that has thousands, so what listening and waiting need is made when somebody does.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from weakref import WeakSet

from p2pswarm.formats.ids import Address, PieceIndex

__all__ = [
    "Broadcast",
    "Checking",
    "Completed",
    "Downloading",
    "Event",
    "Failed",
    "Flag",
    "Moving",
    "Paused",
    "PeerBanned",
    "PeerJoined",
    "PeerLeft",
    "PieceDone",
    "PieceFailed",
    "Reusing",
    "Seeding",
    "State",
    "StateChanged",
    "Stopped",
    "TrackerFailed",
    "TrackerReplied",
]

MOST_WAITING = 10_000  # events kept for one listener


@dataclass(frozen=True, slots=True)
class Checking:
    """Reading what is on the disk: `done` of `total` pieces so far."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Reusing:
    """Looking for missing pieces in other files of this machine: `done` of `total` so far."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Downloading:
    """Pieces are missing and asked for."""


@dataclass(frozen=True, slots=True)
class Seeding:
    """Everything that is wanted is here."""


@dataclass(frozen=True, slots=True)
class Paused:
    """The disk is in the way (`reason`); goes on by itself when it no longer is."""

    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """It cannot go on."""

    reason: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """Taken out of its node."""


@dataclass(frozen=True, slots=True)
class Moving:
    """Its files go to another file system: `done` of `total` bytes are copied."""

    done: int
    total: int


State = Checking | Reusing | Moving | Downloading | Seeding | Paused | Failed | Stopped


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The torrent is in another state now."""

    state: State


@dataclass(frozen=True, slots=True)
class PieceDone:
    """Verified and written."""

    piece: PieceIndex


@dataclass(frozen=True, slots=True)
class PieceFailed:
    """Its hash was wrong; it is asked for again."""

    piece: PieceIndex


@dataclass(frozen=True, slots=True)
class PeerJoined:
    """Handshake done. `client` is what it says it is."""

    address: Address
    client: str


@dataclass(frozen=True, slots=True)
class PeerLeft:
    """Connection gone."""

    address: Address
    reason: str


@dataclass(frozen=True, slots=True)
class PeerBanned:
    """It sent bad data, proven."""

    address: Address


@dataclass(frozen=True, slots=True)
class TrackerReplied:
    """An announce worked and named so many peers."""

    url: str
    peers: int


@dataclass(frozen=True, slots=True)
class TrackerFailed:
    """An announce did not work."""

    url: str
    reason: str


@dataclass(frozen=True, slots=True)
class Completed:
    """The last missing piece was verified and written."""


Event = (
    StateChanged
    | PieceDone
    | PieceFailed
    | PeerJoined
    | PeerLeft
    | PeerBanned
    | TrackerReplied
    | TrackerFailed
    | Completed
)


class _Listener:
    """One reader's share of what was told."""

    def __init__(self) -> None:
        self.waiting: deque[Event] = deque(maxlen=MOST_WAITING)
        self.bell = asyncio.Event()


class Broadcast:
    """One speaker, any number of listeners; who stops listening is forgotten with its generator."""

    def __init__(self) -> None:
        self._listeners: WeakSet[_Listener] | None = None
        self._over = False

    def tell(self, event: Event) -> None:
        for listener in self._listeners or ():
            listener.waiting.append(event)
            listener.bell.set()

    def end(self) -> None:
        """No event will come any more: every listener's loop ends."""
        self._over = True
        for listener in self._listeners or ():
            listener.bell.set()

    def listen(self) -> AsyncIterator[Event]:
        """Everything that is told from this call on, read or not yet read."""
        listener = _Listener()
        if self._listeners is None:
            self._listeners = WeakSet()
        self._listeners.add(listener)
        return self._read(listener)

    async def _read(self, listener: _Listener) -> AsyncIterator[Event]:
        while True:
            while listener.waiting:
                yield listener.waiting.popleft()
            if self._over:
                return
            listener.bell.clear()
            await listener.bell.wait()


class Flag:
    """As asyncio.Event, which holds a kilobyte while nobody waits."""

    __slots__ = ("_event", "_is_set")

    def __init__(self) -> None:
        self._is_set = False
        self._event: asyncio.Event | None = None

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True
        event, self._event = self._event, None
        if event is not None:
            event.set()

    def clear(self) -> None:
        self._is_set = False

    async def wait(self) -> None:
        """Until it is set, now or some time."""
        if not self._is_set:
            if self._event is None:
                self._event = asyncio.Event()
            await self._event.wait()
