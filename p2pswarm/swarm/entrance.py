"""Who may come in: a torrent, a magnet and a feed have the same rules, and each its own number of places.

Nobody who was banned, and nobody twice: of two connections the one stays that both sides would keep.
"""

from p2pswarm.formats.ids import PeerId
from p2pswarm.swarm.addresses import AddressBook
from p2pswarm.swarm.greeting import Greeted, Rival

__all__ = ["TWICE", "why_not"]

TWICE = "a second connection from the same peer"


def why_not(who: Greeted, rival: Rival | None, book: AddressBook, me: PeerId) -> str | None:
    """Why it may not, if not; `rival` is in already."""
    if who.stream.over:
        return "gone already"
    if book.is_banned(who.stream.remote, who.peer_id):
        return "banned"
    if rival is not None and not who.replaces(rival, me):
        return TWICE
    return None
