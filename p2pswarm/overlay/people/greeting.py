"""A super node dialed: HELLO and WELCOME, or where else to go."""

from p2pswarm.errors import NetworkError
from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.overlay.people.proving import Proofs
from p2pswarm.overlay.supernode.meeting import Meeting
from p2pswarm.wire.people.frames import PeopleFramer, PeopleKind
from p2pswarm.wire.people.hello import Hello, Refuse, Want, Welcome
from p2pswarm.wire.people.ringing import Proved
from p2pswarm.wire.supernode.frames import Frame

__all__ = ["TurnedDownError", "greet", "prove"]

GREETING_TIME = 5.0  # seconds; who needs more is too busy to ring anybody
MOST_AT_FIRST = 16 << 10  # bytes


class TurnedDownError(NetworkError):
    """It is there and does not want us."""

    def __init__(self, address: Address, refusal: Refuse) -> None:
        super().__init__(f"{address} says: {refusal.text or refusal.reason}")
        self.refusal = refusal


async def greet(
    port: Port, address: Address, node: bytes, want: Want, *, patience: float = GREETING_TIME
) -> tuple[Meeting, Welcome]:
    """Dial it and be welcomed. Raises TurnedDownError, NetworkError, RemoteError."""
    meeting = Meeting(address, port.scratch, MOST_AT_FIRST, PeopleFramer)
    hello = Hello(node, want, port.number)

    def welcome(frame: Frame) -> Welcome:
        return Welcome.read(_unless_refused(address, frame).body)

    return meeting, await meeting.begin(port, hello, welcome, patience)


async def prove(meeting: Meeting, address: Address, welcome: Welcome, proofs: Proofs) -> bool:
    """Show who we are, if we have a name; whether it is believed. Raises NetworkError, RemoteError."""
    shown = proofs.show(welcome.nonce, welcome.node, address)
    if shown is None:
        return False
    try:
        meeting.say(shown)
        frame = await meeting.hear(PeopleKind.PROVED, PeopleKind.REFUSE, patience=GREETING_TIME)
        Proved.read(_unless_refused(address, frame).body)
    except BaseException:
        meeting.close()
        raise
    return True


def _unless_refused(address: Address, frame: Frame) -> Frame:
    """Raises TurnedDownError, RemoteProtocolError."""
    if frame.kind == PeopleKind.REFUSE:
        raise TurnedDownError(address, Refuse.read(frame.body))
    return frame
