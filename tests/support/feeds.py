"""Publishers of feeds, honest and lying."""

from dataclasses import dataclass, field
from hashlib import sha256

from p2pswarm.formats.feed import Entry, FeedName
from p2pswarm.formats.feed_log import Log
from p2pswarm.formats.ids import InfoHash
from p2pswarm.formats.signing import SigningKey

__all__ = ["Publisher"]


@dataclass
class Publisher:
    """Signs whatever it is told to."""

    seed: int = 1
    salt: bytes = b""
    key: SigningKey = field(init=False)

    def __post_init__(self) -> None:
        self.key = SigningKey(sha256(b"%d" % self.seed).digest())

    @property
    def name(self) -> FeedName:
        return FeedName(self.key.public, self.salt)

    def entry(self, before: Entry | None = None, what: str = "release", size: int = 7) -> Entry:
        torrent = InfoHash(sha256(what.encode()).digest()[:20])
        return Entry.signed(
            self.key, self.salt, before, info_hash=torrent, name=what, size=size, time=1_700_000_000
        )

    def entries(
        self, count: int, before: Entry | None = None, what: str = "release"
    ) -> list[Entry]:
        """A chain of so many."""
        chain: list[Entry] = []
        for number in range(count):
            before = self.entry(before, f"{what} {number}")
            chain.append(before)
        return chain

    def log(self, count: int) -> Log:
        log = Log(self.name)
        for entry in self.entries(count):
            log.add(entry)
        return log
