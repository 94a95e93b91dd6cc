"""A bad link: a program that carries packets between two TUN devices, and delays, loses and reorders them.

Not every kernel has netem, but most have TUN. `Link` makes both devices, each in a namespace, and starts this
file as a program, so that the test's own work delays nothing. Each direction is a `Lane` with its weather:
first a queue that empties at some rate and has an end, then the way, which takes time and loses packets.

The one hard thing: time. A packet's hour is computed and never slept for, so late timers make bunches of
packets, as they do in routers, but neither a longer way nor a lower rate.
"""

import asyncio
import json
import os
import signal
import struct
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from fcntl import ioctl
from heapq import heappop, heappush
from math import inf
from random import Random

__all__ = ["TUN", "Lane", "Link", "Weather", "tun"]

TUN = "/dev/net/tun"

_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000  # <linux/if_tun.h>
_LARGEST = 65_536
_AT_ONCE = 64  # packets read in a row


@dataclass(frozen=True, slots=True)
class Weather:
    """Of one direction; seconds, bytes, and shares of the packets."""

    delay: float = 0.0
    jitter: float = 0.0  # at most so much more; packets stay in order
    loss: float = 0.0
    burst: float = 1.0  # packets that are lost in a row, on average
    reorder: float = 0.0  # of what overtakes everything that is on its way
    duplicate: float = 0.0
    rate: float = inf  # bytes in a second
    queue: float = 256_000  # bytes that wait for that; what comes then is dropped
    mtu: int = _LARGEST  # what is larger is lost without a word


class Lane:
    """One direction. Packets go in with the time, and come out with the time when they are there."""

    def __init__(self, dice: Random) -> None:
        self.weather = Weather()
        self._dice = dice
        self._free = self._latest = -inf  # when the queue is empty, when the last one is there
        self._losing = False
        self._count = 0
        self._way: list[tuple[float, int, bytes]] = []

    @property
    def next(self) -> float:
        """When something is there."""
        return self._way[0][0] if self._way else inf

    def put(self, packet: bytes, now: float) -> None:
        weather = self.weather
        begins = max(now, self._free)
        if (begins - now) * weather.rate > weather.queue or len(packet) > weather.mtu:
            return
        self._free = begins + len(packet) / weather.rate
        if self._lost():
            return
        there = self._free + weather.delay
        if self._dice.random() < weather.reorder:
            there = self._free
        else:
            self._latest = there = max(there + weather.jitter * self._dice.random(), self._latest)
        for _ in range(1 + (self._dice.random() < weather.duplicate)):
            self._count += 1
            heappush(self._way, (there, self._count, packet))

    def take(self, now: float) -> list[bytes]:
        """What is there by now."""
        packets = []
        while self._way and self._way[0][0] <= now:
            packets.append(heappop(self._way)[2])
        return packets

    def _lost(self) -> bool:
        """The chain of Gilbert and Elliott: good and bad times that follow each other."""
        weather = self.weather
        if self._losing:
            self._losing = weather.loss >= 1 or self._dice.random() >= 1 / weather.burst
        if not self._losing and weather.loss:
            often = weather.loss / weather.burst / max(1 - weather.loss, 1e-9)
            self._losing = self._dice.random() < often
        return self._losing


class Link:
    """Two devices and the program between them; `set` changes the weather for both directions."""

    def __init__(self, one: int, other: int) -> None:
        """Two devices of `tun`, which the link closes."""
        command = [sys.executable, __file__, str(one), str(other)]
        self._program = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(one, other),
            text=True,
        )
        os.close(one)
        os.close(other)

    def set(self, weather: Weather, back: Weather | None = None) -> None:
        """From the first to the second, and back; the same if it is not said. It is so from now on."""
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        both = [asdict(weather), asdict(back or weather)]
        self._program.stdin.write(json.dumps(both) + "\n")
        self._program.stdin.flush()
        assert self._program.stdout.readline()

    def close(self) -> None:
        self._program.communicate()
        assert self._program.returncode == 0


def tun(name: str) -> int:
    """A new device of the namespace that we are in; it is there while this is open."""
    device = os.open(TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    flags = _IFF_TUN | _IFF_NO_PI
    ioctl(device, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
    return device


class _Carrier:
    """Reads one device, writes the other one."""

    def __init__(self, lane: Lane, source: int, sink: int) -> None:
        self._lane, self._source, self._sink = lane, source, sink
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._loop.add_reader(source, self._read)

    def _read(self) -> None:
        now = self._loop.time()
        with suppress(BlockingIOError):
            for _ in range(_AT_ONCE):
                self._lane.put(os.read(self._source, _LARGEST), now)
        self._deliver()

    def _deliver(self) -> None:
        for packet in self._lane.take(self._loop.time()):
            with suppress(OSError):  # no room in the kernel, or the device is down
                os.write(self._sink, packet)
        if self._timer is not None:
            self._timer.cancel()
        if self._lane.next < inf:
            self._timer = self._loop.call_at(self._lane.next, self._deliver)


async def _run(one: int, other: int) -> None:
    """Until nobody tells us of the weather any more."""
    lanes = Lane(Random(1)), Lane(Random(2))
    carriers = [_Carrier(lanes[0], one, other), _Carrier(lanes[1], other, one)]
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        for lane, fields in zip(lanes, json.loads(line), strict=True):
            lane.weather = Weather(**fields)
        sys.stdout.write("done\n")
        sys.stdout.flush()
    del carriers


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started us ends us
    asyncio.run(_run(int(sys.argv[1]), int(sys.argv[2])))
