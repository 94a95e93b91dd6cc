"""Version 2 in one torrent's swarm (BEP 52): every block is hashed as it lands, and bad ones are named.

Where the leaves of a piece are known a bad block is found at once, given back, and its sender banned; nothing
else of the piece is fetched again. Where they come late or never, the digests are kept, the piece is judged
at its end, and only if it is bad are its leaves waited for.

A link that has the first name of a hybrid alone brings peers of version 1, whom nobody asks for hashes. They
stay: the SHA-1 says whether a piece is good, the layers follow from good pieces, and whoever is dialed after
the metadata came is offered version 2.

The one hard thing: a hybrid may contradict itself. Then honest peers send what one half calls bad, so of a
hybrid nobody is judged before the SHA-1 of the whole piece is: when that is good the torrent is to blame.
"""

from collections.abc import Collection, Hashable, Iterable, Sequence
from hashlib import sha1, sha256
from typing import Any, Protocol

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import BLOCK, PieceIndex
from p2pswarm.formats.merkle import HASH
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.swarm.blocks import Blocks
from p2pswarm.swarm.forest import Forest
from p2pswarm.swarm.hash_asking import PATIENCE, HashAsking
from p2pswarm.swarm.picker import OpenPiece, PiecePicker
from p2pswarm.wire.hashes import Hashes, HashReject, HashRequest

__all__ = ["Trees", "TreesHome"]

WAIT_FOR_LEAVES = 3 * PATIENCE  # seconds that a bad piece is kept for them


class TreePeer(Hashable, Protocol):
    """Somebody who may be asked for hashes."""

    v2: bool

    def send(self, *buffers: bytes | memoryview) -> bool: ...


class TreesHome(Protocol):
    """What version 2 needs of the torrent."""

    picker: PiecePicker
    blocks: Blocks

    @property
    def alone(self) -> bool: ...

    def clock(self) -> float: ...
    def hash_givers(self) -> Collection[Any]: ...
    def piece_whole(self, piece: OpenPiece, leaves: bytes | None) -> None: ...
    def piece_unexplained(self, piece: OpenPiece) -> None: ...
    def blocks_bad(self, piece: OpenPiece, guilty: set[Any], wasted: int) -> None: ...
    def sent_bad(self, guilty: set[Any]) -> None: ...
    def contradicted(self, piece: PieceIndex) -> None: ...
    def pieces_known(self) -> None: ...
    def layers_known(self) -> None: ...


class Trees:
    """What a torrent with version 2 has beside others."""

    def __init__(self, metainfo: Metainfo, home: TreesHome) -> None:
        self.forest = Forest.of(metainfo)
        self._metainfo = metainfo
        self._home = home
        self._asking = HashAsking()
        self._layers = list(self.forest.layer_ranges())
        self._asking.want(self._layers)
        self._watched: set[PieceIndex] = set()  # leaves are asked for
        self._held: dict[PieceIndex, tuple[OpenPiece, float]] = {}  # bad; until when kept
        if not metainfo.has_v1:
            home.picker.withhold(self.forest.unknown())

    # Blocks

    def hash(self, piece: PieceIndex, begin: int, blocks: Sequence[memoryview]) -> bool:
        """Blocks that land: whether one of them is not what it should be. Their pads do not count."""
        opened = self._home.picker.opened(piece)
        assert opened is not None
        if opened.digests is None:
            opened.digests = bytearray(HASH * len(opened.state))
        digests, first = opened.digests, begin // BLOCK * HASH
        left, at = self._home.picker.geometry.data_size(piece) - begin, first
        for block in blocks:
            data = block if len(block) <= left else block[: max(0, left)]
            digests[at : at + HASH] = sha256(data).digest()
            left -= BLOCK
            at += HASH
        leaves = self.forest.leaves(piece) if self._watched else None
        return leaves is not None and digests[first:at] != leaves[first:at]

    def spoiled(self, piece: PieceIndex) -> None:
        """A block has landed that is not what it should be."""
        opened = self._home.picker.opened(piece)
        if opened is not None and not self._metainfo.has_v1:
            self._find_bad(opened)
        elif opened is not None and not opened.left:
            self.judge(opened)

    def judge(self, piece: OpenPiece) -> None:
        """All of it has landed."""
        tree = self.forest.tree_of(piece.index)
        expected = self.forest.expected(piece.index)
        if tree is None or piece.digests is None:
            self._home.piece_whole(piece, None)
            return
        leaves = bytes(piece.digests[: tree.blocks_of(piece.index) * HASH])
        if expected in (None, self.forest.root_of(piece.index, leaves)):
            self._home.piece_whole(piece, leaves)
        elif self._good_by_sha1(piece):
            self._home.contradicted(piece.index)
        else:
            self._explain(piece)

    def _good_by_sha1(self, piece: OpenPiece) -> bool:
        """Of a hybrid, whether its other half calls the piece good."""
        if not self._metainfo.has_v1:
            return False
        size = self._home.picker.geometry.piece_size(piece.index)
        data = self._home.blocks.whole(piece.index, size)
        digest = sha1(data, usedforsecurity=False).digest()
        return digest == self._metainfo.piece_hash(piece.index)

    def _explain(self, piece: OpenPiece) -> None:
        """The piece is bad: which blocks of it are?"""
        tree = self.forest.tree_of(piece.index)
        alone = tree is not None and tree.blocks_of(piece.index) == 1
        if alone or self.forest.leaves(piece.index) is not None:
            self._find_bad(piece)
            return
        self._held[piece.index] = piece, self._home.clock() + WAIT_FOR_LEAVES
        senders = {who for who in piece.senders if who is not None}
        # A sender alone is to blame, whichever block it is, and has no say about the hashes.
        if len(senders) == 1:
            self._home.sent_bad(senders)
        self._watch([piece.index])
        self._give_up_explaining()

    def _find_bad(self, piece: OpenPiece) -> None:
        """By its leaves; where it has one block, that one."""
        self._held.pop(piece.index, None)
        leaves, digests = self.forest.leaves(piece.index), piece.digests
        if digests is None:
            return
        spans = [(n, slice(n * HASH, (n + 1) * HASH)) for n in piece.landed()]
        bad = [n for n, at in spans if leaves is None or digests[at] != leaves[at]]
        if bad:
            guilty = {piece.senders[n] for n in bad}
            self._home.picker.spoiled(piece, bad)
            self._home.blocks_bad(piece, guilty, len(bad) * BLOCK)

    # Pieces

    def asked(self, peer: TreePeer, blocks: Iterable[int]) -> None:
        """The peer is asked for these blocks. Without version 1 the leaves of their pieces come first."""
        if self._metainfo.has_v1:
            return
        per_piece = self._home.picker.per_piece
        pieces = {PieceIndex(block // per_piece) for block in blocks} - self._watched
        if pieces:
            self._watch(pieces, peer)

    def _watch(self, pieces: Iterable[PieceIndex], first: TreePeer | None = None) -> None:
        for piece in pieces:
            self._watched.add(piece)
            self._asking.want(self.forest.watch(piece))
        if first is not None and first.v2:
            self.ask(first)
        else:
            self._ask_all()

    def stored(self, piece: OpenPiece, *, ok: bool) -> None:
        """It went to the disk, or was bad by its SHA-1."""
        leaves = piece.digests
        tree = self.forest.tree_of(piece.index)
        self._forget(piece.index)
        if not ok or tree is None or leaves is None or not self._metainfo.has_v1:
            return
        lacked = bool(self.forest.lacking)
        root = self.forest.root_of(piece.index, leaves[: tree.blocks_of(piece.index) * HASH])
        if not self.forest.compute(piece.index, root):
            self._home.contradicted(piece.index)
        elif lacked and not self.forest.lacking:
            self._learned_all()

    def _forget(self, piece: PieceIndex) -> None:
        self._held.pop(piece, None)
        if piece in self._watched:
            self._watched.remove(piece)
            self._asking.drop(self.forest.leaf_ranges(piece))
            self.forest.forget(piece)

    def tick(self, now: float) -> None:
        """Once a second: who is silent, and what nobody works on any more."""
        for piece in [p for p in self._watched if self._home.picker.opened(p) is None]:
            self._forget(piece)
        self._asking.tick(now)
        self._ask_all()
        self._give_up_explaining()

    def _give_up_explaining(self) -> None:
        """Bad pieces whose leaves nobody here gives: they are fetched again, as in version 1.

        While nobody at all is here, who could give neither, the next one to come is waited for.
        """
        now, givers, alone = self._home.clock(), self._home.hash_givers(), self._home.alone
        for index, (piece, until) in list(self._held.items()):
            ranges = self.forest.leaf_ranges(index)
            lost = any(self._asking.hopeless(each, givers, now) for each in ranges)
            if now >= until or (lost and not alone):
                self._forget(index)
                self._home.piece_unexplained(piece)

    # Peers

    def ask(self, peer: TreePeer) -> None:
        """Ask this one for what is missing, as far as it may be asked."""
        wanted = self._asking.next_for(peer, self._home.clock())
        if wanted:
            peer.send(b"".join([HashRequest(each).encode() for each in wanted]))

    def _ask_all(self) -> None:
        for peer in self._home.hash_givers():
            self.ask(peer)

    def gone(self, peer: TreePeer) -> None:
        self._asking.gone(peer)

    def got_reject(self, peer: TreePeer, message: HashReject) -> None:
        if not self._asking.refused(peer, message.range, self._home.clock()):
            raise RemoteProtocolError("a reject of hashes that were never asked for")
        self._ask_all()
        self._give_up_explaining()

    def got_hashes(self, peer: TreePeer, message: Hashes) -> None:
        """Raises RemoteProtocolError for hashes that nobody asked for or that are not true."""
        if not self._asking.answered(peer, message.range):
            raise RemoteProtocolError("hashes that were never asked for")
        if message.range not in self._asking:  # somebody else was faster, or the piece is done
            self.ask(peer)
            return
        learned = self.forest.learn(message)
        self._asking.helped(peer)
        self._asking.drop([message.range])
        self.ask(peer)
        if learned.pieces:
            self._learned(learned.pieces)
        for piece in learned.leaves:
            opened = self._home.picker.opened(piece)
            if opened is not None and (piece in self._held or not self._metainfo.has_v1):
                self._find_bad(opened)

    def _learned(self, pieces: list[PieceIndex]) -> None:
        """Hashes of these."""
        wrong = self.forest.contradicted(pieces)
        if wrong is not None:
            self._home.contradicted(wrong)
            return
        self._home.picker.admit(pieces)
        self._home.pieces_known()
        if not self.forest.lacking:
            self._learned_all()

    def _learned_all(self) -> None:
        self._asking.drop(self._layers)
        self._layers = []
        self._home.layers_known()
