"""The examples in docs/protocols/people.md are what is sent, and its table and figures are those we go by."""

import re
from pathlib import Path

from p2pswarm.overlay.people import (
    asking,
    contacts,
    directory,
    membership,
    moving,
    places,
    records,
    repairing,
    shape,
    writing,
)
from p2pswarm.wire.people.frames import MOST, OPENING, PeopleFrame, PeopleFramer, PeopleKind
from tests.support.feeding import feed
from tests.support.people_reading import read_frame

DOCUMENT = (Path(__file__).parents[3] / "docs/protocols/people.md").read_text("utf-8")
WORDS = " ".join(DOCUMENT.split())
ELSEWHERE = {PeopleKind.RELAY, PeopleKind.READY, PeopleKind.SWARM, PeopleKind.MEET}  # relays.md


def test_there_is_an_example_of_every_kind() -> None:
    examples = re.findall(r"```hex\n(.+?)```", DOCUMENT, re.DOTALL)
    stream = OPENING + b"".join(map(bytes.fromhex, examples))
    frames = [frame for frame in feed(PeopleFramer(), stream) if isinstance(frame, PeopleFrame)]
    assert [frame.kind for frame in frames] == [k for k in PeopleKind if k not in ELSEWHERE]
    for frame in frames:
        message = read_frame(frame)
        assert message is not None
        assert message.encode() == frame


def test_the_table_of_kinds_is_the_one_we_go_by() -> None:
    rows = re.findall(r"^\| ([0-9a-f]{2}) \| ([A-Z]+) \| ([0-9 ]+) \|$", DOCUMENT, re.MULTILINE)
    told = {int(kind, 16): (name, int(most.replace(" ", ""))) for kind, name, most in rows}
    assert told == {kind: (kind.name, MOST[kind]) for kind in PeopleKind}


def test_the_figures_are_those_we_go_by() -> None:
    for figure in (
        f"every {membership.NEAR_EVERY:.0f} s, and to all others that one knows every "
        f"{membership.FAR_EVERY:.0f} s",
        f"Between two such moves are {moving.SETTLED:.0f} s",
        f"a slot of {moving.CROWDED} or more looks every {moving.LOOK_EVERY:.0f} s",
        f"moves where there are {moving.MUCH_EMPTIER} fewer",
        f"answer three times, {membership.AGAIN:.0f} s apart",
        f"A slot of {shape.SPLIT_AT} is split when each half gets {shape.LEAST}",
        f"half of {shape.FOLLOWED} or more have gone down",
        f"A slot of less than {shape.LEAST} goes together with its sibling, when both have at most "
        f"{shape.MERGED} together",
        f"Every {repairing.EVERY:.0f} s one compares",
        f"a number from 0 to {places.PLACES - 1}",
        f"waits {asking.IN_SLOT:.0f} s for a member of the slot and {asking.ON_THE_WAY} s",
        f"kept by the home for {asking.CACHED_FOR:.0f} s",
        f"A super node keeps {records.MOST_RECORDS // 1000} 000 records",
        f"hears {directory.STRANGER[0]:.0f} questions a second of one network, and "
        f"{directory.SUPER[0]:.0f} of a super node",
        f"is told of {contacts.MOST_TOLD} super nodes",
    ):
        assert figure in WORDS, figure
    assert (contacts.MOST_FAR, contacts.MISSES) == (4, 3)
    assert (places.MOST_OF_NETWORK, writing.ONCE_IN, asking.MOST_TRIED) == (2, 2.0, 4)
