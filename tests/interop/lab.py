"""A torrent, our tracker, and peers of every make, each a real process on an address of its own."""

import random
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from p2pswarm.formats.ids import InfoHash
from p2pswarm.formats.magnet import Magnet
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.wire.tracker import Counts, ScrapeReply
from tests.support.foreign import Client, makes_empty_files, until
from tests.support.patience import PATIENCE
from tests.support.processes import Program, program

__all__ = ["ODD_FILES", "Lab", "StartClient", "kept_by"]

C = TypeVar("C", bound=Client)
StartClient = Callable[..., AbstractContextManager[Client]]


def _bytes(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


# Sizes around blocks and pieces, nothing at all, and names that are not ASCII.
ODD_FILES: Mapping[str, bytes] = {
    "größe/Ærø наука 日本語 🎈.bin": _bytes(1, 1_234_567),
    "a": _bytes(2, 1),
    "block": _bytes(3, 16_384),
    "block and one": _bytes(4, 16_385),
    "deep/er/than/that": _bytes(5, 65_535),
    "nothing": b"",
    "größe/auch nichts": b"",
    "z": _bytes(6, 2_000_003),
}


def kept_by(client: StartClient, files: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """What lies on the disk of a client that has everything: empty files only where it makes them."""
    if makes_empty_files(client):
        return files
    return {name: data for name, data in files.items() if data}


class Lab:
    """Everything of one test: peers get the addresses `network` + 2, 3, …, the tracker has 1."""

    def __init__(self, home: Path, tracker: Program, network: str) -> None:
        self.home = home
        self.torrent = home / "content.torrent"
        self.files: Mapping[str, bytes] = {}
        self._network = network
        self._tracked = True
        self._numbers = count(2)
        self._addresses: dict[str, str] = {}
        self.announce = tracker.wait_for_line()

    def share(
        self,
        files: Mapping[str, bytes],
        piece_length: str = "64KiB",
        *,
        tracked: bool = True,
        announce: str | None = None,
        kind: str = "--v1",
    ) -> None:
        """Write the files and make their torrent; untracked, peers must be named to each other.

        `announce` is the tracker that the torrent names, instead of ours by HTTP; `kind` the format.
        """
        self.files, self._tracked = files, tracked
        for name, data in files.items():
            path = self.source / "content" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        options = ("--piece-length", piece_length) + (
            "--tracker",
            announce or self.announce,
        ) * tracked
        folder = self.source / "content"
        making = program(self.home / "create", "create", folder, "-o", self.torrent, kind, *options)
        with making as create:
            assert create.wait() == 0, create.stderr

    @property
    def announce_by_udp(self) -> str:
        """Our tracker, asked by UDP."""
        return self.announce.replace("http", "udp", 1)

    @property
    def link(self) -> str:
        """A magnet link that names the torrent and its tracker."""
        return str(Magnet.of(Metainfo.from_file(self.torrent)))

    @property
    def source(self) -> Path:
        """The folder that holds what is shared."""
        return self.home / "source"

    def folder(self, name: str) -> Path:
        """Where a peer of this name saves."""
        return self.home / name / "saved"

    def new_address(self, name: str = "") -> str:
        self._addresses[name] = f"{self._network}{next(self._numbers)}"
        return self._addresses[name]

    def address_of(self, name: str) -> str:
        """Of one of ours."""
        return self._addresses[name]

    @contextmanager
    def seed(self, *options: object, name: str = "seed") -> Iterator[Program]:
        """Our seed, known to the tracker if there is one."""
        place = ("--bind", self.new_address(name), "--port", 0, "--json")
        arguments = ("seed", self.torrent, "--data", self.source, *place, *options)
        with program(self.home / name, *arguments) as running:
            running.wait_for("tracker_replied" if self._tracked else "listening")
            yield running
            assert running.stop() == 0, running.stderr

    @contextmanager
    def get(self, *options: object, name: str = "get", source: object = None) -> Iterator[Program]:
        """Of the torrent, or of a `source` that says less."""
        place = ("--bind", self.new_address(name), "--port", 0, "--json")
        arguments = ("get", source or self.torrent, "-o", self.folder(name), *place, *options)
        with program(self.home / name, *arguments) as running:
            yield running

    @contextmanager
    def foreign_seed(
        self, start: Callable[..., AbstractContextManager[C]], **options: object
    ) -> Iterator[C]:
        """A foreign client that seeds our files, known to the tracker."""
        before, home = self.counts().complete, self.home / f"{start.__name__} seeds"
        place = (home, self.torrent, self.source, self.new_address())
        with start(*place, seed=True, **options) as client:
            until(lambda: self.counts().complete > before, f"{start.__name__} announces")
            yield client

    @contextmanager
    def foreign_get(
        self,
        start: Callable[..., AbstractContextManager[C]],
        source: object = None,
        **options: object,
    ) -> Iterator[C]:
        home = self.home / start.__name__
        place = (home, source or self.torrent, self.folder(start.__name__), self.new_address())
        with start(*place, **options) as client:
            yield client

    def counts(self, info_hash: bytes = b"") -> Counts:
        """What the tracker knows (BEP 48) of the torrent's first swarm, or of this one."""
        info_hash = InfoHash(info_hash or Metainfo.from_file(self.torrent).info_hash)
        url = self.announce.replace("/announce", "/scrape") + f"?info_hash={quote(info_hash)}"
        with urllib.request.urlopen(url, timeout=PATIENCE) as response:
            return ScrapeReply.decode(response.read()).swarms.get(info_hash, Counts())

    def fetched(self, name: str) -> dict[str, bytes]:
        """What a peer of this name saved: path -> content."""
        root = self.folder(name) / "content"
        found = (path for path in root.rglob("*") if path.is_file())
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}
