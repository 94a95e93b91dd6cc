"""Every message of the supernode protocol: there and back."""

from hypothesis import given

from p2pswarm.wire.supernode.reading import Message, read_frame
from tests.support.supernode_wire import messages


@given(messages)
def test_there_and_back(message: Message) -> None:
    assert read_frame(message.encode()) == message
