"""Clients of a tracker, for `scripts/bench/announces`.

    python -m scripts.bench.announces_load udp|http PORT SECONDS

Says "warm" when every peer has announced once, "announced" after so many seconds more.
"""

import asyncio
import json
import socket
import sys
import time
from collections.abc import Callable
from random import Random

import uvloop

from p2pswarm.formats.ids import InfoHash, PeerId
from p2pswarm.wire.tracker import Announce
from p2pswarm.wire.tracker_udp import Answer, Question, connect

PEERS = 10  # of each swarm
AT_ONCE = 64
SWARMS = [InfoHash(Random(n).randbytes(20)) for n in range(1000)]


def _announces() -> list[Announce]:
    dice = Random(1)
    every = [
        Announce(swarm, PeerId.new(dice), 1024 + number, left=number % 2, key=b"%08X" % number)
        for number in range(PEERS)
        for swarm in SWARMS
    ]
    dice.shuffle(every)
    return every


def by_udp(port: int, seconds: float) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as place:
        place.connect(("127.0.0.1", port))
        place.settimeout(0.5)
        connection = _ask_until_there(place)
        questions = [
            Question.announce(connection, number, each) for number, each in enumerate(_announces())
        ]
        _pump(place, questions, lambda done: done >= len(questions))
        _tell("warm")
        began = time.monotonic()
        count, size = _pump(place, questions, lambda _: time.monotonic() - began > seconds)
        _tell("announced", count=count, bytes=size, seconds=time.monotonic() - began)


def _ask_until_there(place: socket.socket) -> int:
    """A tracker that starts refuses or is silent."""
    while True:
        try:
            place.send(connect(1))
            return Answer.read(place.recv(100)).connection()
        except OSError:
            time.sleep(0.1)


def _pump(
    place: socket.socket, questions: list[bytes], enough: Callable[[int], bool]
) -> tuple[int, int]:
    """Each answer lets one more question out; who is silent has lost them all."""
    count, size, sent = 0, 0, 0
    for _ in range(AT_ONCE):
        place.send(questions[sent % len(questions)])
        sent += 1
    while not enough(count):
        try:
            size += len(place.recv(2048))
            count += 1
        except TimeoutError:
            for _ in range(AT_ONCE - 1):
                place.send(questions[sent % len(questions)])
                sent += 1
        place.send(questions[sent % len(questions)])
        sent += 1
    return count, size


async def by_http(port: int, seconds: float) -> None:
    paths = [each.url("/announce").encode() for each in _announces()]
    done = [0, 0, 0]

    async def client(enough: Callable[[], bool]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while not enough():
            done[2] += 1
            writer.write(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % paths[done[2] % len(paths)])
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            done[0] += 1
            done[1] += len(head) + length
        writer.close()

    async def clients(enough: Callable[[], bool]) -> None:
        await asyncio.gather(*(client(enough) for _ in range(AT_ONCE)))

    await clients(lambda: done[0] >= len(paths))
    _tell("warm")
    done[:2] = 0, 0
    began = time.monotonic()
    await clients(lambda: time.monotonic() - began > seconds)
    _tell("announced", count=done[0], bytes=done[1], seconds=time.monotonic() - began)


def _tell(event: str, **fields: object) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


def main() -> None:
    scheme, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    if scheme == "udp":
        by_udp(port, seconds)
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(by_http(port, seconds))


if __name__ == "__main__":
    main()
