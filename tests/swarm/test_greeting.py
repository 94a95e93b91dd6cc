from collections.abc import Callable
from itertools import cycle

import pytest

from p2pswarm.formats.ids import InfoHash, PeerId, PieceIndex
from p2pswarm.net.stream import Stream
from p2pswarm.swarm.greeting import Answering, Asking, Greeted, Host, Name
from p2pswarm.wire.peer import HandshakeFramer, Have, Haves, Hello, Ident, PeerFramer, Reserved
from tests.support.transport import Wire

HASH, OTHER_HASH = InfoHash(bytes(20)), InfoHash(b"\xff" * 20)
ME, YOU = PeerId(b"-PS0100-meeeeeeeeeee"), PeerId(b"-XX0100-youuuuuuuuuu")
PLAIN = Reserved(bytes(8))
OURS = Hello(Reserved.ours(), HASH).encode() + Ident(ME).encode()
THEIRS = Hello(PLAIN, HASH).encode() + Ident(YOU).encode()


class Side:
    """One side of a handshake: its line, and what became of it."""

    def __init__(self) -> None:
        self.greeted: list[Greeted] = []
        self.lost: list[Exception | None] = []
        self.heard: list[object] = []
        self.line = Wire()

    def asking(self, v2: InfoHash | None = None) -> Stream:
        asking = Asking(HASH, ME, self.greeted.append, self.lost.append, v2=v2)
        stream = self.line.carry(Stream(HandshakeFramer(), asking))
        asking.begin(stream)
        return stream

    def answering(
        self, find: Callable[[InfoHash], Host | None] | None = None, v2: InfoHash | None = None
    ) -> Stream:
        stream = self.line.carry(Stream(HandshakeFramer(), self))
        here = Host(self.welcome, v2)
        ours = {HASH: here} | ({v2: here} if v2 else {})
        stream.switch(HandshakeFramer(), Answering(stream, ME, find or ours.get, self.lost.append))
        return stream

    def welcome(self, who: Greeted) -> None:
        self.greeted.append(who)
        who.stream.switch(PeerFramer(lambda *_: None), self)

    # The conversation after the handshake

    def got(self, message: object) -> None:
        self.heard.append(message)

    def caught_up(self) -> None: ...

    def drained(self) -> None: ...

    def closed(self, reason: Exception | None) -> None: ...


def give(stream: Stream, data: bytes, size: int = 1000) -> None:
    at = 0
    for n in cycle([size]):
        if at >= len(data):
            return
        part = data[at : at + n]
        stream.get_buffer(-1)[: len(part)] = part
        stream.buffer_updated(len(part))
        at += n


CHUNKS = pytest.mark.parametrize("chunk", [1, 2, 13, 48, 1000])


# We dialed


@CHUNKS
def test_who_asks_speaks_first_and_learns_who_answers(chunk: int) -> None:
    side = Side()
    stream = side.asking()
    assert side.line.taken == OURS
    give(stream, THEIRS, chunk)
    assert side.greeted == [Greeted(stream, YOU, PLAIN, outgoing=True)]
    assert side.line.taken == OURS
    assert not side.lost


def test_what_follows_the_answer_waits_for_who_comes_next() -> None:
    side = Side()
    stream = side.asking()
    give(stream, THEIRS + Have(PieceIndex(3)).encode())
    give(stream, Have(PieceIndex(4)).encode()[:3])
    stream.switch(PeerFramer(lambda *_: None), side)
    give(stream, Have(PieceIndex(4)).encode()[3:])
    assert side.heard == [Haves([PieceIndex(3)]), Haves([PieceIndex(4)])]


def test_an_answer_for_another_torrent_is_refused() -> None:
    side = Side()
    give(side.asking(), Hello(PLAIN, OTHER_HASH).encode())
    assert side.line.aborted
    assert str(side.lost[0]) == f"answers for {OTHER_HASH}, not {HASH}"
    assert not side.greeted


def test_we_do_not_talk_to_ourselves() -> None:
    side = Side()
    give(side.asking(), Hello(PLAIN, HASH).encode() + Ident(ME).encode())
    assert side.line.aborted
    assert str(side.lost[0]) == "that is ourselves"
    assert not side.greeted


def test_a_connection_that_ends_before_is_lost() -> None:
    side = Side()
    stream = side.asking()
    give(stream, THEIRS[:50])
    stream.connection_lost(None)
    assert side.lost == [None]
    assert not side.greeted


# We were dialed


@CHUNKS
def test_who_answers_speaks_as_soon_as_the_torrent_is_known(chunk: int) -> None:
    side = Side()
    stream = side.answering()
    give(stream, THEIRS[:47], chunk)
    assert side.line.taken == b""
    give(stream, THEIRS[47:48])
    assert side.line.taken == OURS
    assert not side.greeted
    give(stream, THEIRS[48:], chunk)
    assert side.greeted == [Greeted(stream, YOU, PLAIN, outgoing=False)]
    assert side.line.taken == OURS


@CHUNKS
def test_messages_right_after_the_handshake_are_heard(chunk: int) -> None:
    side = Side()
    give(side.answering(), THEIRS + Have(PieceIndex(3)).encode(), chunk)
    assert side.heard == [Haves([PieceIndex(3)])]


def test_for_a_torrent_we_do_not_have_nothing_is_said() -> None:
    side = Side()
    give(side.answering(), Hello(PLAIN, OTHER_HASH).encode() + Ident(YOU).encode())
    assert side.line.aborted
    assert side.line.taken == b""
    assert str(side.lost[0]) == f"asks for {OTHER_HASH}, which is not here"


def test_when_we_dialed_ourselves_the_answering_side_notices_too() -> None:
    side = Side()
    give(side.answering(), Hello(PLAIN, HASH).encode() + Ident(ME).encode())
    assert str(side.lost[0]) == "that is ourselves"
    assert not side.greeted


def test_back_to_back() -> None:
    """An Asking and an Answering with different names meet."""
    us, them = Side(), Side()
    asking = us.asking()
    answering = Answering(
        Stream(HandshakeFramer(), them), YOU, lambda _: Host(them.welcome), them.lost.append
    )
    stream = them.line.carry(Stream(HandshakeFramer(), answering))
    answering.stream = stream
    give(stream, bytes(us.line.taken))
    give(asking, bytes(them.line.taken))
    assert [who.peer_id for who in us.greeted] == [YOU]
    assert [who.peer_id for who in them.greeted] == [ME]
    assert us.greeted[0].reserved == Reserved.ours()
    assert us.greeted[0].name == Name(YOU, "10.0.0.2")


def test_what_is_no_part_of_a_handshake_is_passed_over() -> None:
    side = Side()
    asking = Asking(HASH, ME, side.greeted.append, side.lost.append)
    asking.got(Ident(YOU))
    asking.got(Haves([PieceIndex(1)]))
    assert not side.greeted


# BEP 52: two names

OFFER, NO_OFFER = Reserved.ours(v2=True), Reserved.ours()
TWO_NAMES = Hello(OFFER, HASH).encode() + Ident(ME).encode()


@pytest.mark.parametrize(("answer", "v2"), [(HASH, False), (OTHER_HASH, True)])
def test_who_asks_for_a_hybrid_offers_version_2_and_the_answer_decides(
    answer: InfoHash, *, v2: bool
) -> None:
    side = Side()
    stream = side.asking(v2=OTHER_HASH)
    assert side.line.taken == TWO_NAMES
    give(stream, Hello(PLAIN, answer).encode() + Ident(YOU).encode())
    assert side.greeted == [Greeted(stream, YOU, PLAIN, outgoing=True, v2=v2)]


def test_who_asks_by_the_second_name_speaks_version_2() -> None:
    side = Side()
    asking = Asking(OTHER_HASH, ME, side.greeted.append, side.lost.append, v2=OTHER_HASH)
    asking.begin(side.line.carry(Stream(HandshakeFramer(), asking)))
    assert side.line.taken == Hello(NO_OFFER, OTHER_HASH).encode() + Ident(ME).encode()
    give(asking.stream, Hello(PLAIN, OTHER_HASH).encode() + Ident(YOU).encode())
    assert side.greeted[0].v2


def test_who_asked_by_the_second_name_is_not_answered_by_the_first() -> None:
    side = Side()
    asking = Asking(OTHER_HASH, ME, side.greeted.append, side.lost.append, v2=OTHER_HASH)
    asking.begin(side.line.carry(Stream(HandshakeFramer(), asking)))
    give(asking.stream, THEIRS)
    assert str(side.lost[0]) == f"answers for {HASH}, not {OTHER_HASH}"


@pytest.mark.parametrize(
    ("asked", "said", "answered", "ours", "v2"),
    [
        (HASH, OFFER, OTHER_HASH, NO_OFFER, True),
        (HASH, NO_OFFER, HASH, OFFER, False),
        (OTHER_HASH, NO_OFFER, OTHER_HASH, NO_OFFER, True),
        (OTHER_HASH, OFFER, OTHER_HASH, NO_OFFER, True),
    ],
)
def test_a_hybrid_is_spoken_of_in_version_2_with_whom_it_can_be(
    asked: InfoHash, said: Reserved, answered: InfoHash, ours: Reserved, *, v2: bool
) -> None:
    side = Side()
    stream = side.answering(v2=OTHER_HASH)
    give(stream, Hello(said, asked).encode() + Ident(YOU).encode())
    assert side.line.taken == Hello(ours, answered).encode() + Ident(ME).encode()
    assert side.greeted == [Greeted(stream, YOU, said, outgoing=False, v2=v2)]


def test_an_offer_for_a_torrent_of_one_name_is_answered_by_that() -> None:
    side = Side()
    give(side.answering(), Hello(OFFER, HASH).encode() + Ident(YOU).encode())
    assert side.line.taken == OURS
    assert not side.greeted[0].v2
