"""libutp (Transmission, uTorrent, WebTorrent) tells of 30 packets behind the first that is missing, and of
nothing farther. Where more were lost in a row, its selective ack is empty: we took that for none, and sent
three packets every 150 ms. And what it has but does not tell of filled our window, so that what was known to
be lost was not sent again before a timeout.
"""

from collections import deque

import pytest

from p2pswarm.wire.utp.delays import DelayHistory
from p2pswarm.wire.utp.mtu import PathMtu
from p2pswarm.wire.utp.sending import Sender

COUNT = 200  # packets
WAY = 5  # ms, each way
TOLD = (1 << 30) - 1


class Libutp:
    """What arrives, and what it says about that: an ack, 30 bits, and whether it has something early."""

    def __init__(self) -> None:
        self.last = 0
        self.early: set[int] = set()

    def got(self, seq: int) -> tuple[int, int, bool]:
        self.early.add(seq)
        while self.last + 1 in self.early:
            self.last += 1
            self.early.discard(self.last)
        self.early = {seq for seq in self.early if seq > self.last}
        bits = sum(1 << seq - self.last - 2 for seq in self.early) & TOLD
        return self.last, bits, bool(self.early) and not bits


def milliseconds(lost: range) -> int:
    """Until everything has arrived, if these are lost when they are sent for the first time."""
    sender, there, delays = Sender(1, 1 << 20, PathMtu(4)), Libutp(), DelayHistory()
    sender.ledbat.window = COUNT * 528.0
    sender.write(bytes(COUNT * 528))
    going: deque[tuple[int, int]] = deque()
    coming: deque[tuple[int, tuple[int, int, bool]]] = deque()
    for ms in range(60_000):
        now = ms / 1000
        while coming and coming[0][0] <= ms:
            ack, bits, farther = coming.popleft()[1]
            sender.got_ack(ack, bits, 1 << 20, now, delays, farther=farther)
        while going and going[0][0] <= ms:
            coming.append((ms + WAY, there.got(going.popleft()[1])))
        if sender.idle:
            return ms
        sender.timed_out(now)
        going.extend(
            (ms + WAY, sent.seq)
            for sent in sender.due(now)
            if sent.times > 1 or sent.seq not in lost
        )
    raise AssertionError("it never arrives")


@pytest.mark.parametrize(("lost", "within"), [(range(10, 90), 800), (range(20, 24), 100)])
def test_what_was_lost_is_sent_again_before_a_timeout(lost: range, within: int) -> None:
    assert milliseconds(lost) < within
