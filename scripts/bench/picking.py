"""The picker alone, in torrents of any size among any number of peers: does its cost stay flat?

The state is that of the middle of a download and stays there: of all pieces half are had, each peer has a
random half, and for every piece that gets whole another one that its last peer has is lost again, outside of
what is measured. The peers take turns; each sends the blocks it owes longest and is asked for as many new
ones, one by one as slow peers are or in runs as fast ones. Between the turns other peers' haves come in, and
every now and then peers leave and come back. Memory is never short here.
"""

from collections import deque
from functools import partial
from itertools import cycle, islice
from random import Random

from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.geometry import Geometry
from p2pswarm.formats.ids import PieceIndex
from p2pswarm.swarm.picker import PiecePicker
from scripts.bench.gauges import Gauge

__all__ = ["Crowd"]

PIECE = 512 << 10  # bytes
OWED_BY_SLOW = 8  # blocks in flight to a peer that is asked for one at a time
ROUNDS = 8  # each of:
BLOCKS = 256  # that land,
HAVES = 64  # that come in,
MOVERS = 8  # peers of which these are, and who then leave and come back


class Crowd:
    """One torrent, and who has what of it."""

    def __init__(self, pieces: int, peers: int, run: int) -> None:
        self._dice = dice = Random(1)
        self._run = run
        self.picker = PiecePicker(Geometry(pieces * PIECE, PIECE), dice)
        self.picker.start_with(self._half())
        self._haves = [self._half() for _ in range(peers)]
        for have in self._haves:
            self.picker.seen_all(have)
        self._owed: list[deque[int]] = [deque() for _ in range(peers)]
        self._turns = cycle(range(peers))
        self._full: list[tuple[PieceIndex, int]] = []
        for who in range(peers):
            self._ask(who, run if run > 1 else OWED_BY_SLOW)

    def work(self, gauge: Gauge) -> None:
        for _ in range(ROUNDS):
            self.download(gauge)
            self.news(gauge)

    def download(self, gauge: Gauge) -> None:
        """Measures each "block"."""
        for _ in range(0, BLOCKS, 32):
            gauge("block", 32, self._blocks)
            self._lose()

    def news(self, gauge: Gauge) -> None:
        """Measures "have", "leave" and "join": some peers get new pieces, leave, and come back without."""
        movers = self._dice.sample(range(len(self._haves)), min(MOVERS, len(self._haves)))
        before = {who: self._haves[who].copy() for who in movers}
        news = [(who, piece) for who in movers for piece in self._lacks(who, HAVES // len(movers))]
        gauge("have", len(news), lambda: self._hear(news))
        for who, had in before.items():
            gauge("leave", 1, partial(self.picker.gone, self._haves[who]))
            gauge("join", 1, partial(self.picker.seen_all, had))
            self._haves[who] = had

    def _half(self) -> Bitfield:
        random = Bitfield()
        random.frombytes(self._dice.randbytes(self.picker.pieces // 8 + 1))
        return random[: self.picker.pieces]

    def _blocks(self) -> None:
        """32 of them, by as many peers as that takes."""
        for who in islice(self._turns, 32 // self._run):
            owed = self._owed[who]
            for _ in range(self._run):
                self._land(owed.popleft(), who)
            self._ask(who, self._run)

    def _land(self, block: int, who: int) -> None:
        picker = self.picker
        if picker.wants(block, who) and not picker.is_doubled(block):
            full = picker.landed(block, who)
            if full is not None:
                picker.had(full.index)
                self._full.append((full.index, who))

    def _ask(self, who: int, count: int) -> None:
        blocks = self.picker.pick(who, self._haves[who], count, lambda _: True)
        self.picker.geometry.requests(blocks)
        self._owed[who] += blocks

    def _lose(self) -> None:
        for full, who in self._full:
            self.picker.lost(self._had_by(who, but=full))
        self._full.clear()

    def _had_by(self, who: int, but: PieceIndex) -> PieceIndex:
        """By drawing: a walk over all pieces would leave nothing in the processor's caches."""
        while True:
            piece = PieceIndex(self._dice.randrange(self.picker.pieces))
            if self.picker.have[piece] and self._haves[who][piece] and piece != but:
                return piece

    def _lacks(self, who: int, most: int) -> list[PieceIndex]:
        lacks = list((~self._haves[who]).pieces())
        return self._dice.sample(lacks, min(most, len(lacks) // 4))

    def _hear(self, news: list[tuple[int, PieceIndex]]) -> None:
        for who, piece in news:
            self._haves[who][piece] = 1
            self.picker.seen(piece)
