"""uTP yields: our machine and a TCP flow on one slow line, in simulated time.

The line carries 1 MB/s, takes 20 ms each way and has a queue of 300 ms in front of it, as routers at home do.
uTP has it for itself, then TCP comes and goes again. TCP is Reno as it is in books: a window that grows by a
packet in a round trip and is halved when something is lost; what is lost is known a round trip later.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path as File

from tests.support.utp import Path, World

OUT = File(__file__).parents[1] / "docs" / "performance" / "ledbat.svg"
RATE = 1e6  # bytes per second
DELAY = 0.02  # seconds, one way
QUEUE = 0.3 * RATE
PACKET = 1472  # as the line counts them
COMES, GOES, END = 30.0, 70.0, 110.0
STEP = 0.5


class Reno:
    """A TCP flow that has always something to send."""

    def __init__(self, world: World, line: Path) -> None:
        self.arrived = 0
        self._world, self._line = world, line
        self._window, self._threshold = 2.0, 1e9  # packets
        self._flight = 0
        self._recovers = 0.0
        self._ends = 0.0

    def start(self, until: float) -> None:
        self._ends = until
        self._send()

    def _send(self) -> None:
        now = self._world.now
        while self._flight < int(self._window) and now < self._ends:
            self._flight += 1
            whens = self._line.arrivals(PACKET, now, self._world.dice)
            if whens:
                self._world.at(whens[0] + DELAY, self._acked)
            else:
                waiting = max(0.0, self._line.free_at - now)
                self._world.at(now + waiting + 2 * DELAY, self._lost)

    def _acked(self) -> None:
        self._flight -= 1
        self.arrived += PACKET
        self._window += 1 if self._window < self._threshold else 1 / self._window
        self._send()

    def _lost(self) -> None:
        self._flight -= 1
        if self._world.now >= self._recovers:
            self._window = self._threshold = max(2.0, self._window / 2)
            waiting = max(0.0, self._line.free_at - self._world.now)
            self._recovers = self._world.now + waiting + 2 * DELAY
        self._send()


@dataclass
class Story:
    """What was seen, every half second: bytes per second of both, seconds in the queue."""

    times: list[float] = field(default_factory=list)
    utp: list[float] = field(default_factory=list)
    tcp: list[float] = field(default_factory=list)
    queue: list[float] = field(default_factory=list)

    def mean(self, values: Sequence[float], since: float, until: float) -> float:
        chosen = [
            value for at, value in zip(self.times, values, strict=True) if since < at <= until
        ]
        return sum(chosen) / len(chosen)


def play(end: float = END, goes: float = GOES) -> Story:
    """The whole story, or until a certain second of it."""
    line = Path(DELAY, rate=RATE, queue=int(QUEUE))
    world = World(line, Path(DELAY))
    world.open()
    tcp, story = Reno(world, line), Story()
    world.at(COMES, lambda: tcp.start(goes))
    world.write(world.near, bytes(int(RATE * end)))
    heard = arrived = 0
    while world.now < end:
        world.run(world.now + STEP)
        story.times.append(world.now)
        story.utp.append((len(world.far.heard) - heard) / STEP)
        story.tcp.append((tcp.arrived - arrived) / STEP)
        story.queue.append(max(0.0, line.free_at - world.now))
        heard, arrived = len(world.far.heard), tcp.arrived
    return story


def draw(story: Story, file: File) -> None:
    """Two plots over one time: who has how much of the line, and how long its queue is."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    plt.rcParams["svg.hashsalt"] = "ledbat"
    figure, (rates, queue) = plt.subplots(2, 1, figsize=(8, 5), sharex=True, layout="constrained")
    rates.plot(story.times, [each / 1e6 for each in story.utp], label="uTP", color="#2563c9")
    rates.plot(
        story.times, [each / 1e6 for each in story.tcp], label="TCP", color="#c8570a", ls="--"
    )
    rates.set(ylabel="MB/s", title="uTP yields to TCP on a line of 1 MB/s (simulated)")
    rates.legend(loc="center right")
    queue.plot(story.times, [each * 1e3 for each in story.queue], color="#52636f")
    queue.axhline(100, ls=":", color="#0b7f6e", label="uTP's target")
    queue.set(xlabel="seconds", ylabel="queue, ms")
    queue.legend(loc="upper right")
    figure.savefig(file, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description="uTP beside TCP on one line, simulated")
    parser.add_argument("--out", type=File, default=OUT)
    wanted = parser.parse_args()
    story = play()
    draw(story, wanted.out)
    for name, since, until in (
        ("alone", 10.0, COMES),
        ("beside TCP", COMES + 10, GOES),
        ("alone again", GOES + 20, END),
    ):
        utp, tcp = (story.mean(each, since, until) / 1e6 for each in (story.utp, story.tcp))
        wait = story.mean(story.queue, since, until) * 1e3
        print(f"{name}: uTP {utp:.2f} MB/s, TCP {tcp:.2f} MB/s, queue {wait:.0f} ms")


if __name__ == "__main__":
    main()
