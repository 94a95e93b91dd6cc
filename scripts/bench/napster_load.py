"""Members of a Napster server, for `scripts/bench/napster`: they share, or they search. Frames by hand.

    python -m scripts.bench.napster_load share PORT FILES EACH       says "shared" and stays
    python -m scripts.bench.napster_load search PORT HOW_MANY SECONDS

Every member has an address of its own, because the server gives an address only so much.
"""

import asyncio
import bisect
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator
from random import Random

import uvloop

SYLLABLES = [a + b for a in "bcdfghjklmnprstvwz" for b in "aeiou"]
AT_ONCE = 100  # files in one message 870
TITLES = 200_000
RATES = (128, 160, 192, 320)
QUERIES = 5_000


def frame(number: int, line: str) -> bytes:
    data = line.encode()
    return len(data).to_bytes(2, "little") + number.to_bytes(2, "little") + data


class Music:
    """Names as people give them: few artists and words are in most of them, most are rare."""

    def __init__(self, seed: int) -> None:
        self.dice = Random(seed)
        self._words = [_word(n) for n in range(60_000)]
        self._artists = [f"{_word(10**6 + n)} {_word(10**7 + n)}" for n in range(20_000)]
        self._word, self._artist = _zipf(60_000, 1.0), _zipf(20_000, 0.9)

    def title(self) -> str:
        dice = self.dice
        artist = self._artists[self._artist(dice.random())]
        words = [self._words[self._word(dice.random())] for _ in range(dice.randint(2, 4))]
        kind = dice.choice(["live", "remix", "album version", str(dice.randint(1960, 2001))])
        return f"{artist.title()} - {' '.join(words).title()} ({kind})"

    def files(self) -> Iterator[str]:
        """`"name" md5 size bitrate frequency seconds`, without end."""
        dice = self.dice
        titles = [self.title() for _ in range(TITLES)]
        for number in itertools.cycle(range(AT_ONCE)):
            md5, title = dice.randbytes(16).hex(), titles[int(dice.random() * TITLES)]
            size, rate = int(dice.random() * 1e7), RATES[number & 3]
            yield f'"{number:02} {title}.mp3" {md5} {size} {rate} 44100 {60 + number}'

    def query(self) -> str:
        title = self.title()
        words = [
            word for word in title.replace("-", " ").replace("(", " ").split() if len(word) > 2
        ]
        some = self.dice.sample(words, min(len(words), self.dice.randint(1, 3)))
        return " ".join(word.strip(")") for word in some)


def _word(n: int) -> str:
    dice = Random(n)
    return "".join(dice.choice(SYLLABLES) for _ in range(dice.randint(2, 4)))


def _zipf(size: int, power: float) -> Callable[[float], int]:
    sums = list(itertools.accumulate(1 / (n + 3) ** power for n in range(size)))
    return lambda chance: bisect.bisect(sums, chance * sums[-1])


class Member:
    """One connection."""

    def __init__(
        self, nick: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.nick, self._reader, self.writer = nick, reader, writer

    @classmethod
    async def log_in(cls, port: int, number: int, kind: str) -> "Member":
        host = f"127.1.{number // 200}.{1 + number % 200}"
        ends = await asyncio.open_connection("127.0.0.1", port, local_addr=(host, 0))
        member = cls(f"{kind}{number}", *ends)
        member.writer.write(frame(2, f'{member.nick} pw 6699 "nap v0.8" 8'))
        await member.until(214)
        return member

    async def until(self, last: int) -> int:
        """How many messages came before the one with this number."""
        for before in itertools.count():
            head = await self._reader.readexactly(4)
            await self._reader.readexactly(int.from_bytes(head[:2], "little"))
            if int.from_bytes(head[2:], "little") == last:
                return before
        raise AssertionError

    async def share(self, files: Iterator[str], count: int) -> None:
        for album in range(0, count, AT_ONCE):
            some = itertools.islice(files, min(AT_ONCE, count - album))
            self.writer.write(frame(870, f'"C:\\Music\\{album}" {" ".join(some)}'))
            await self.writer.drain()
        self.writer.write(
            frame(211, f"{self.nick} 1")
        )  # answered when all of them are in the index
        await self.until(213)

    async def search(self, queries: Iterator[bytes], until: float, times: list[float]) -> int:
        """For as long; how many files were found."""
        found = 0
        while (now := time.perf_counter()) < until:
            self.writer.write(next(queries))
            found += await self.until(202)
            times.append(time.perf_counter() - now)
        return found


async def share(port: int, files: int, each: int) -> None:
    listed = Music(1).files()
    members = [await Member.log_in(port, number, "sharer") for number in range(-(-files // each))]
    for member in members:
        await member.share(listed, min(each, files))
    tell("shared", files=files)
    await asyncio.Event().wait()


async def search(port: int, members: int, seconds: float) -> None:
    music = Music(time.time_ns())
    asked = [f'FILENAME CONTAINS "{music.query()}" MAX_RESULTS 100' for _ in range(QUERIES)]
    queries = itertools.cycle([frame(200, line) for line in asked])
    everybody = [await Member.log_in(port, 5000 + number, "searcher") for number in range(members)]
    alone: list[float] = []
    await everybody[0].search(queries, time.perf_counter() + seconds / 4, alone)
    times: list[float] = []
    began = time.perf_counter()
    until = began + seconds
    found = await asyncio.gather(*(member.search(queries, until, times) for member in everybody))
    took = time.perf_counter() - began
    tell(
        "searched",
        rate=len(times) / took,
        p50=percentile(times, 0.5),
        p99=percentile(times, 0.99),
        most=max(times),
        alone=percentile(alone, 0.99),
        hits=sum(found) / len(times),
    )


def percentile(times: list[float], share: float) -> float:
    return sorted(times)[int(len(times) * share)]


def tell(event: str, **fields: object) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


if __name__ == "__main__":
    what, port, count, more = sys.argv[1:]
    if what == "share":
        uvloop.run(share(int(port), int(count), int(more)))
    else:
        uvloop.run(search(int(port), int(count), float(more)))
