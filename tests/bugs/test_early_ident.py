"""On uvloop bytes may arrive before `create_connection` returns: a peer that spoke first was lost."""

from p2pswarm.formats.ids import InfoHash, PeerId
from p2pswarm.net.stream import Stream
from p2pswarm.swarm.greeting import Asking, Greeted
from p2pswarm.wire.peer import HandshakeFramer, Hello, Ident, Reserved
from tests.support.transport import Wire

HASH = InfoHash(b"h" * 20)
THEY = PeerId(b"-XX0001-" + b"t" * 12)


def test_who_speaks_before_we_begin_is_greeted_when_we_do() -> None:
    greeted: list[Greeted] = []
    lost: list[Exception | None] = []
    asking = Asking(HASH, PeerId(b"-PS0100-" + b"w" * 12), greeted.append, lost.append)
    stream = Stream(HandshakeFramer(), asking)
    wire = Wire()
    wire.carry(stream)
    said = Hello(Reserved.ours(), HASH).encode() + Ident(THEY).encode()
    buffer = stream.get_buffer(-1)
    buffer[: len(said)] = said
    stream.buffer_updated(len(said))
    assert greeted == lost == []
    asking.begin(stream)
    assert [who.peer_id for who in greeted] == [THEY]
    assert not stream.over
