"""How a catalog stands a million files: build, start, rescan, queries, memory, size on disk.

    python scripts/bench/catalog.py [FILES] [FOLDER]

Makes a folder of small files with names from a vocabulary in which few words are common and most are rare (or
takes FOLDER if it is there), then measures each step in a process of its own.
"""

import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from p2pswarm.disk.pool import DiskPool
from p2pswarm.overlay.catalog import Catalog
from p2pswarm.overlay.query import Query

VOCABULARY = 50_000
PER_FOLDER = 500
QUERIES = 3000


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
    disk, index = DiskPool(threads=4), DiskPool(threads=1)
    began = time.perf_counter()
    catalog = await Catalog.open(database, [folder], disk=disk, index=index)
    figures = {"open_s": time.perf_counter() - began}
    if step in ("build", "rescan"):
        await catalog.indexing.scan()
        figures[f"{step}_s"] = time.perf_counter() - began
    if step == "hash":
        began = time.perf_counter()
        for _ in range(200):
            await catalog.indexing.find_md5s()
        figures["md5_per_s"] = 200 * 16 / (time.perf_counter() - began)
        began = time.perf_counter()
        for _ in range(2000):
            await catalog.indexing.digest_one()
        figures["digest_per_s"] = 2000 / (time.perf_counter() - began)
    if step == "query":
        figures |= await ask(catalog)
    figures["files"] = catalog.files
    await catalog.aclose()
    await index.aclose()
    await disk.aclose()
    figures["peak_rss_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return figures


async def ask(catalog: Catalog) -> dict[str, float]:
    dice, known = Random(3), vocabulary()
    took, hits = [], 0
    for _ in range(QUERIES):
        query = Query.parse(words(dice, known, dice.randint(1, 3)))
        began = time.perf_counter()
        hits += len(await catalog.search(query))
        took.append(time.perf_counter() - began)
    took.sort()
    return {
        "hits_per_query": hits / QUERIES,
        "p50_ms": took[len(took) // 2] * 1000,
        "p99_ms": took[len(took) * 99 // 100] * 1000,
        "max_ms": took[-1] * 1000,
        "queries_per_s": QUERIES / sum(took),
    }


def main() -> None:
    if len(sys.argv) > 1 and sys.argv[1] == "step":
        _, _, step, folder, database = sys.argv
        print(json.dumps(asyncio.run(measure(step, Path(folder), Path(database)))))
        return
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as home:
        folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(home) / "share"
        if not folder.exists():
            make(folder, files)
        database = Path(home) / "catalog.db"
        for step in ("build", "start", "query", "rescan", "hash"):
            command = [sys.executable, __file__, "step", step, folder, database]
            done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
            print(step, done.stdout, end="")
            if step == "build":
                size = sum(path.stat().st_size for path in Path(home).glob("catalog.db*"))
                print(f"size on disk: {size / 2**20:.0f} MiB, {size / files:.0f} bytes a file")


if __name__ == "__main__":
    main()
