"""Steps of a catalog's life, for `scripts/bench/catalog`; each is a process that says what it measured.

    python -m scripts.bench.catalog_load make FOLDER FILES               small files to share
    python -m scripts.bench.catalog_load scan|start|search|hash FOLDER DATABASE

`scan` is the first one when there is no database, a look at what has changed when there is; `start` ends with
the answer to a first question. Names are of a vocabulary in which few words are common and most are rare.
"""

import asyncio
import json
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import uvloop

from p2pswarm.disk.pool import DiskPool
from p2pswarm.overlay.catalog import Catalog
from p2pswarm.overlay.query import Query

VOCABULARY = 50_000
PER_FOLDER = 500
QUERIES = 3_000
MD5_STEPS = 200  # of 16 files
DIGESTED = 2_000  # files


def vocabulary() -> list[str]:
    dice = Random(1)
    letters = "etaoinshrdlucmfwypvbgk"
    return ["".join(dice.choices(letters, k=dice.randint(3, 9))) for _ in range(VOCABULARY)]


def words(dice: Random, known: list[str], count: int) -> str:
    """A few words are in everything: rank r with a weight of about 1/r."""
    return " ".join(known[int(VOCABULARY ** dice.random()) - 1] for _ in range(count))


def make(folder: Path, files: int) -> None:
    dice, known = Random(2), vocabulary()
    for number in range(files):
        if number % PER_FOLDER == 0:
            here = folder / words(dice, known, 2).title() / f"{words(dice, known, 2)} {number}"
            here.mkdir(parents=True)
        ending = dice.choice(["mp3"] * 6 + ["jpg", "pdf", "avi", "zip"])
        name = f"{number % 100:02} - {words(dice, known, dice.randint(2, 5))} {number}.{ending}"
        (here / name).write_bytes(b"x" * dice.randint(1, 64))


async def measure(step: str, folder: Path, database: Path) -> dict[str, float]:
    async with AsyncExitStack() as stack:
        disk, index = DiskPool(threads=4), DiskPool(threads=1)
        stack.push_async_callback(disk.aclose)
        stack.push_async_callback(index.aclose)
        began = time.perf_counter()
        catalog = await Catalog.open(database, [folder], disk=disk, index=index)
        stack.push_async_callback(catalog.aclose)
        match step:
            case "start":
                await catalog.search(Query.parse(vocabulary()[0]))
            case "scan":
                await catalog.indexing.scan()
            case "search":
                return {"files": catalog.files, **await ask(catalog)}
            case "hash":
                return {"files": catalog.files, **await digest(catalog)}
        return {"files": catalog.files, "seconds": time.perf_counter() - began}


async def ask(catalog: Catalog) -> dict[str, float]:
    """One question after the other, of one to three words."""
    dice, known = Random(3), vocabulary()
    took, hits = [], 0
    for _ in range(QUERIES):
        query = Query.parse(words(dice, known, dice.randint(1, 3)))
        began = time.perf_counter()
        hits += len(await catalog.search(query))
        took.append(time.perf_counter() - began)
    took.sort()
    return {
        "rate": QUERIES / sum(took),
        "p50": took[len(took) // 2],
        "p99": took[len(took) * 99 // 100],
        "hits": hits / QUERIES,
    }


async def digest(catalog: Catalog) -> dict[str, float]:
    """The next files that nobody has looked into, and the next that nobody has read whole."""
    began = time.perf_counter()
    for _ in range(MD5_STEPS):
        await catalog.indexing.find_md5s()
    middle = time.perf_counter()
    for _ in range(DIGESTED):
        await catalog.indexing.digest_one()
    end = time.perf_counter()
    return {"md5s": MD5_STEPS * 16 / (middle - began), "digests": DIGESTED / (end - middle)}


def main() -> None:
    _, step, folder, what = sys.argv
    if step == "make":
        make(Path(folder), int(what))
        figures: dict[str, float] = {}
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            figures = runner.run(measure(step, Path(folder), Path(what)))
    print(json.dumps({"event": "measured", **figures}))


if __name__ == "__main__":
    main()
