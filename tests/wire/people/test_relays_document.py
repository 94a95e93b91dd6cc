"""The examples in docs/protocols/relays.md are what is sent, and its figures are those we go by."""

import re
from pathlib import Path

from p2pswarm.overlay.people import pairing, swarms
from p2pswarm.overlay.people.channels import MOST_PAYLOAD
from p2pswarm.overlay.people.quotas import Terms
from p2pswarm.wire.people.frames import OPENING, PeopleFrame, PeopleFramer, PeopleKind
from p2pswarm.wire.people.knocking import NO_COOKIE, NOBODY, Knock
from p2pswarm.wire.people.marked import RELAY_HEAD, RELAY_MAGIC, Relayed
from tests.support.feeding import feed
from tests.support.people_reading import read_frame

DOCUMENT = (Path(__file__).parents[3] / "docs/protocols/relays.md").read_text("utf-8")
EXAMPLES = [bytes.fromhex(text) for text in re.findall(r"```hex\n(.+?)```", DOCUMENT, re.DOTALL)]


def test_there_is_an_example_of_each_frame() -> None:
    stream = OPENING + b"".join(data for data in EXAMPLES if data[:4] != RELAY_MAGIC)
    frames = [frame for frame in feed(PeopleFramer(), stream) if isinstance(frame, PeopleFrame)]
    kinds = [PeopleKind.RELAY, PeopleKind.READY, PeopleKind.SWARM, PeopleKind.MEET]
    assert [frame.kind for frame in frames] == kinds
    for frame in frames:
        message = read_frame(frame)
        assert message is not None
        assert message.encode() == frame


def test_there_is_an_example_of_each_datagram() -> None:
    passed, first, then = (Relayed.read(d) for d in EXAMPLES if d[:4] == RELAY_MAGIC)
    knocks = [Knock.read(each.payload) for each in (first, then)]
    assert first.channel == then.channel == NOBODY
    assert knocks[0].cookie == NO_COOKIE
    assert knocks[1] == knocks[0]._replace(cookie=knocks[1].cookie)
    assert (knocks[0].channel, knocks[0].secret) == (passed.channel, passed.secret)
    assert f"head of {RELAY_HEAD} bytes" in DOCUMENT


def test_the_figures_are_those_we_go_by() -> None:
    terms = Terms()
    for figure in (
        f"{terms.rate >> 10} KiB/s (`--relay-rate`), {terms.of_pair >> 30} GiB a day, "
        f"{terms.most_of_pair} relays at a time",
        f"{terms.of_owner >> 30} GiB a day, {terms.most_of_owner} relays at a time",
        f"{terms.total >> 20} MiB/s (`--relay-total`), {terms.most} relays, "
        f"{pairing.MOST_WAITING} that wait",
        f"{terms.seconds / 3600:.0f} hours; {terms.idle:.0f} s without a byte",
        f"The first waits for {pairing.WAIT:.0f} s",
        f"one guest {swarms.MEETINGS[1]:.0f} times",
        f"{MOST_PAYLOAD} bytes at most",
    ):
        assert figure in " ".join(DOCUMENT.split()), figure
