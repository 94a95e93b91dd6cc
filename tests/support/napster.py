"""A Napster server and its clients in memory, without sockets and in a test's own time.

The clients know numbers and lines of text, as foreign programs do, and nothing of our message classes.
"""

from typing import Any

from p2pswarm.net.stream import Stream
from tests.support.clock import Time
from tests.support.transport import Wire
from tracker.napster.limits import Caps
from tracker.napster.server import NapsterServer, NapsterSettings

__all__ = ["MD5", "SONG", "Caller", "Town", "frame", "frames"]

MD5 = "b92870e0d41bc8e698cf2f0a1ddfeac7"
SONG = "C:\\music\\Generic Band - Blue Moon.mp3"


def frame(number: int, line: str | bytes = "") -> bytes:
    data = line if isinstance(line, bytes) else line.encode()
    return len(data).to_bytes(2, "little") + number.to_bytes(2, "little") + data


def frames(data: bytes | bytearray) -> list[tuple[int, str]]:
    """The messages in `data`, which ends with a whole one."""
    found, at = [], 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 2], "little")
        number = int.from_bytes(data[at + 2 : at + 4], "little")
        assert at + 4 + length <= len(data), "half a message"
        found.append((number, bytes(data[at + 4 : at + 4 + length]).decode("utf-8", "replace")))
        at += 4 + length
    return found


class Caller:
    """One connection. `say` is heard by the server at once; `heard` is what came back since last time."""

    def __init__(self, stream: Stream, host: str) -> None:
        self.wire, self.stream = Wire(host=host), stream
        self._read = 0
        self._unread: list[bytes] = []
        self.wire.carry(stream)

    def say(self, number: int, line: str | bytes = "") -> None:
        self.push(frame(number, line))

    def push(self, data: bytes) -> None:
        """Bytes as they are; what is sent while the server does not read waits in the network."""
        self._unread.append(data)
        self.flow()

    def flow(self) -> None:
        while self._unread and self.wire.reading and not self.stream.over:
            data = self._unread.pop(0)
            buffer = self.stream.get_buffer(-1)
            n = min(len(data), len(buffer))
            buffer[:n] = data[:n]
            if n < len(data):
                self._unread.insert(0, data[n:])
            self.stream.buffer_updated(n)

    @property
    def waiting(self) -> int:
        """Bytes that the server has not read."""
        return sum(map(len, self._unread))

    def heard(self) -> list[tuple[int, str]]:
        new, self._read = self.wire.taken[self._read :], len(self.wire.taken)
        return frames(new)

    def ask(self, number: int, line: str | bytes = "") -> list[tuple[int, str]]:
        self.heard()
        self.say(number, line)
        return self.heard()

    @property
    def over(self) -> bool:
        return self.stream.over

    def hang_up(self) -> None:
        self.stream.connection_lost(None)


class Town:
    """The server, its time, and everybody who called."""

    def __init__(self, *, caps: Caps | None = None, **settings: Any) -> None:
        self.time = Time()
        self.date = 1_000_000_000.0
        values = NapsterSettings(version="1.2.3", caps=caps or Caps(), **settings)
        self.server = NapsterServer(
            values, self.time.clock, lambda: self.date, self.time.call_later
        )
        self.callers: list[Caller] = []

    def call(self, host: str = "10.0.0.2") -> Caller:
        caller = Caller(self.server.lobby.knock(), host)
        self.callers.append(caller)
        return caller

    def member(
        self, nick: str, host: str = "10.0.0.2", *, port: int = 6699, client: str = "nap v0.8"
    ) -> Caller:
        caller = self.call(host)
        caller.say(2, f'{nick} secret {port} "{client}" 8')
        assert caller.heard()[0][0] == 3, f"{nick} did not get in"
        return caller

    def sharer(self, nick: str, *names: str, **more: Any) -> Caller:
        caller = self.member(nick, **more)
        for name in names or (SONG,):
            caller.say(100, f'"{name}" {MD5} 443332 128 44100 60')
        assert caller.heard() == []
        return caller

    def run(self, seconds: int) -> None:
        """That much time, ticks included."""
        for _ in range(seconds):
            self.time.run(1)
            self.date += 1
            self.server.tick()
            for caller in self.callers:
                caller.flow()
            self.server.check()
