"""Which pieces one peer has, as it says, and as the picker counts it.

It may say so again at any time: aria2 sends its bitfield where the many Haves since the last one would be
longer. What it says it has lost is taken back, from it and from the counts.

The one hard thing: the picker holds sums over all peers, so `have` never changes without them. Whoever has
everything is counted apart, as a seed, until it says that it lost something.
"""

from collections.abc import Iterable

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.ids import PieceIndex
from p2pswarm.swarm.picker import PiecePicker

__all__ = ["Holdings"]

# Bitfields that take something back, and words that BEP 6 has once: each costs us a walk over all pieces.
MOST_RESTATEMENTS = 5


class Holdings:
    """One peer's. Raises RemoteProtocolError when it names what does not exist, or talks without end."""

    __slots__ = ("_counted_seed", "_picker", "_restatements", "have")

    def __init__(self, picker: PiecePicker) -> None:
        self.have = Bitfield(picker.pieces)
        self._picker = picker
        self._counted_seed = False
        self._restatements = 0

    @property
    def whole(self) -> bool:
        """Whether it has every piece."""
        return self._counted_seed or self.have.all()

    def add(self, pieces: Iterable[PieceIndex]) -> None:
        """It has these, too."""
        picker, have, seen = self._picker, self.have, self._picker.seen
        for piece in pieces:
            if piece >= picker.pieces:
                raise RemoteProtocolError(f"have {piece} of {picker.pieces} pieces")
            if not have[piece]:
                have[piece] = 1
                seen(piece)

    def become(self, have: Bitfield) -> bool:
        """It has these and no others. Whether it took something back."""
        if have == self.have:
            return False
        shrinks = (self.have & ~have).any()
        if shrinks:
            self._count_restatement()
            self.forget()
        if have.all():
            self.forget()
            self._counted_seed = True
            self._picker.seeds += 1
        else:
            self._count_more(have & ~self.have)
        self.have = have
        return shrinks

    def become_all(self) -> bool:
        """The same, of every piece (BEP 6)."""
        self._count_restatement()
        return self.become(Bitfield.full(self._picker.pieces))

    def become_none(self) -> bool:
        """The same, of none (BEP 6)."""
        self._count_restatement()
        return self.become(Bitfield(self._picker.pieces))

    def lose(self, piece: PieceIndex) -> bool:
        """It no longer has this one (BEP 54). Whether it had it."""
        picker = self._picker
        if piece >= picker.pieces:
            raise RemoteProtocolError(f"lost {piece}, which does not exist")
        if not self.have[piece]:
            return False
        if self._counted_seed:
            self._count_restatement()
            self._counted_seed = False
            picker.seeds -= 1
            picker.seen_all(self.have)
        picker.unseen(piece)
        self.have[piece] = 0
        return True

    def forget(self) -> None:
        """It is gone, or what it said so far is: it has nothing."""
        if self._counted_seed:
            self._picker.seeds -= 1
        elif self.have.any():
            self._picker.gone(self.have)
        self._counted_seed = False
        self.have = Bitfield(self._picker.pieces)

    def _count_restatement(self) -> None:
        self._restatements += 1
        if self._restatements > MOST_RESTATEMENTS:
            raise RemoteProtocolError("bitfields without end")

    def _count_more(self, added: Bitfield) -> None:
        """Each piece costs us something once; counting all anew costs the picker its order."""
        if not self.have.any():
            self._picker.seen_all(added)
            return
        for piece in added.pieces():
            self._picker.seen(piece)
