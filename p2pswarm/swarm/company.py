"""The company of one torrent: who comes in, who is sent away, who is served, and who is told of whom.

`entrance`, `parting`, `Choker` and `Ranking` decide one thing each; here it is done. Nobody else takes a
peer in or out, or counts it into the node's `Places`.

The one hard thing: closing a peer takes it out at once (`gone`), and may take others along. So who sends
peers away walks over a copy, and whoever is gone already is nobody's.
"""

from collections.abc import Sequence
from typing import Protocol

from p2pswarm.errors import HostError, RemoteProtocolError
from p2pswarm.formats.ids import Address, PieceIndex
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.swarm.choker import Choker
from p2pswarm.swarm.dialer import Surroundings
from p2pswarm.swarm.entrance import TWICE, why_not
from p2pswarm.swarm.events import Broadcast, PeerJoined, PeerLeft
from p2pswarm.swarm.extensions import Talker
from p2pswarm.swarm.finding import Finding
from p2pswarm.swarm.greeting import Greeted, Name, Rival
from p2pswarm.swarm.meeting import Meetings
from p2pswarm.swarm.parting import crowded, displaced, doubles, fellow_seeds
from p2pswarm.swarm.peer import Home, Peer
from p2pswarm.wire.extension.holepunch import Holepunch
from p2pswarm.wire.extension.pex import PexFlag
from p2pswarm.wire.peer import PeerFramer, longest_message

__all__ = ["Company", "CompanyHome"]

LOOK_ROUND_EVERY = 1.0  # seconds


class CompanyHome(Home, Protocol):
    """What the company needs of its torrent, beside what each peer needs."""

    metainfo: Metainfo
    finding: Finding

    @property
    def ready(self) -> bool: ...

    def wake(self) -> None: ...


class Company:
    """The peers, by name. Those who left are nowhere."""

    __slots__ = (
        "_choker",
        "_events",
        "_home",
        "_looked_round",
        "_meetings",
        "_neighbours",
        "_node",
        "_telling",
        "peers",
    )

    def __init__(self, home: CompanyHome, node: Surroundings, events: Broadcast) -> None:
        self.peers: dict[Name, Peer] = {}
        self._home = home
        self._node = node
        self._events = events
        self._choker = Choker(node.upload_slots)
        self._meetings: Meetings | None = None  # most torrents of a node with many are alone
        self._neighbours: dict[Address, PexFlag] = {}
        self._telling = False
        self._looked_round = float("-inf")  # when they were written down

    # Who comes

    def welcome(self, who: Greeted) -> bool:
        """A peer that completed its handshake; False when there is no place for it."""
        stream, rival = who.stream, self.peers.get(who.name)
        refusal = self._why_not(who, rival)
        if refusal is not None:
            stream.close(RemoteProtocolError(refusal))
            return False
        v2 = (
            who.v2 or not self._home.metainfo.has_v1
        )  # who had its short name only says nothing of it
        peer = Peer(stream, self._home, who.name, who.reserved, outgoing=who.outgoing, v2=v2)
        if rival is not None:
            rival.close(RemoteProtocolError(TWICE))
        self.peers[who.name] = peer
        self._node.places.taken += 1
        self._home.wake()
        self._events.tell(PeerJoined(peer.address, peer.client))
        self._begin(peer, who)
        return True

    def _begin(self, peer: Peer, who: Greeted) -> None:
        home = self._home
        peer.start(who.heard)
        if peer.v2 and home.trees is not None:
            home.trees.ask(peer)
        most = longest_message(home.picker.pieces)
        who.stream.switch(
            PeerFramer(peer.download.take_blocks, self._node.port.scratch, most), peer
        )
        if who.heard is not None:
            peer.recall(who.heard)

    def _why_not(self, who: Greeted, rival: Peer | None) -> str | None:
        if not self._home.ready:
            return "not ready"
        other = None if rival is None else Rival(rival.stream, rival.outgoing)
        refusal = why_not(who, other, self._home.finding.book, self._node.me)
        if refusal is not None:
            return refusal
        no_more = len(self.peers) >= self._node.max_peers
        no_more |= not who.outgoing and not self._node.places.free
        if rival is None and no_more and not self._make_place(who.stream.remote):
            return "no place for more peers"
        return None

    def _make_place(self, newcomer: Address) -> bool:
        """Send somebody away for it, if it may come."""
        going = displaced(self.peers.values(), newcomer, self._node.ranking.of)
        if going is None:
            return False
        peer, why = going
        peer.close(RemoteProtocolError(why))
        return True

    # Who leaves

    def gone(self, peer: Peer, reason: Exception | None) -> bool:
        """It left; False when it had left before, or never came in."""
        if self.peers.get(peer.name) is not peer:
            return False
        del self.peers[peer.name]
        self._choker.gone(peer)
        self._node.places.taken -= 1
        picker, finding = self._home.picker, self._home.finding
        over = picker.done and (peer.is_seed or peer.upload_only)
        useful = picker.wants_from(peer.have) or not over
        finding.book.left(peer.address, self._home.clock(), useful=useful and not peer.double)
        self._events.tell(PeerLeft(peer.address, str(reason or "it closed the connection")))
        self._fill_slots()
        return True

    def part(self, now: float, *, seeding: bool) -> None:
        """Places go to those who want something of us, or have something for us."""
        if seeding:
            for peer in list(fellow_seeds(self.peers.values(), now)):
                peer.close(RemoteProtocolError("both of us are seeds"))
        members = [(name.peer_id, peer) for name, peer in self.peers.items()]
        for peer, kept in doubles(members, self._node.me):
            peer.double = True
            peer.close(RemoteProtocolError(f"it is connected as {kept.address}, too"))

    def drop_all(self) -> None:
        for peer in list(self.peers.values()):
            peer.close(None)

    # Who is served

    def rechoke(self) -> None:
        """A round of tit-for-tat."""
        now = self._home.clock()
        candidates = [peer.candidate(now) for peer in self.peers.values()]
        seeding = self._home.picker.done
        chosen = self._choker.rechoke(candidates, seeding, now, self._node.dice)
        for peer in list(self.peers.values()):
            if peer in chosen:
                peer.unchoke()
            else:
                peer.choke()

    def interest_changed(self, peer: Peer) -> None:
        """A free place is given at once; the next round decides whether rightly."""
        if not peer.peer_interested:
            self._fill_slots()
        elif peer.am_choking and self._free_slots() > 0:
            peer.unchoke()

    def _free_slots(self) -> int:
        served = sum(not p.am_choking and p.peer_interested for p in self.peers.values())
        return self._choker.slots + 1 - served

    def _fill_slots(self) -> None:
        """Somebody left: whoever waited longest gets the place now, not in ten seconds."""
        waiting = [p for p in self.peers.values() if p.peer_interested and p.am_choking]
        waiting.sort(key=lambda peer: peer.served)
        for peer in waiting[: max(0, self._free_slots())]:
            peer.unchoke()

    # Who is told

    def tell_have(self, piece: PieceIndex) -> None:
        """It is ours: everybody hears of it."""
        for peer in self.peers.values():
            peer.queue_have(piece)
            if peer.am_interested and self._home.picker.done:
                peer.update_interest()
        if not self._telling:
            self._telling = True
            self._home.soon(self._tell)

    def _tell(self) -> None:
        self._telling = False
        for peer in list(self.peers.values()):
            peer.flush_urgent()

    def tell_lost(self, pieces: Sequence[PieceIndex]) -> None:
        """We have less than we said (BEP 54). Who cannot be told is sent away, and learns it when it comes
        back."""
        for peer in list(self.peers.values()):
            if not peer.tell_lost(pieces):
                peer.close(HostError("we have less than we said"))

    def tell_upload_only(self, *, on: bool) -> None:
        for peer in self.peers.values():
            peer.tell_upload_only(on=on)

    # Who knows whom

    def connected(self) -> set[Address]:
        return {peer.address for peer in self.peers.values()}

    @property
    def crowded(self) -> bool:
        """Whether a host has several places, of which others may have some."""
        return crowded(self.peers.values())

    def neighbours(self) -> dict[Address, PexFlag]:
        """Whom we are connected to, and where they listen, as far as they said; looked at once a second."""
        now = self._home.clock()
        if now - self._looked_round >= LOOK_ROUND_EVERY:
            told = ((peer.address, peer.pex_flags) for peer in self.peers.values())
            self._neighbours = {address: flags for address, flags in told if flags is not None}
            self._looked_round = now
        return self._neighbours

    def hole_punched(self, peer: Talker, message: Holepunch) -> None:
        self._meets().heard(peer, message)

    def unreached(self, address: Address) -> None:
        """Nobody answered there: somebody may introduce us."""
        self._meets().unreached(address)

    def _meets(self) -> Meetings:
        if self._meetings is None:
            home = self._home
            self._meetings = Meetings(self.peers.values, self._is_us, home.clock, home.finding.meet)
        return self._meetings

    def _is_us(self, address: Address) -> bool:
        """As far as we know under which address others see us."""
        ours = self._node.ranking.ours(address)
        return address.port == self._home.port and address.host in (ours, *self._node.port.hosts)
