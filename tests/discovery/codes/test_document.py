"""The examples in docs/protocols/codes.md are what is sent."""

import re
from pathlib import Path

from p2pswarm.discovery.codes.pairing import derived
from p2pswarm.discovery.codes.visits import MOST_A_SECOND, MOST_VISITS, MOST_WRONG
from p2pswarm.wire.rendezvous import (
    MOST_BODY,
    MOST_MESSAGE,
    Ask,
    Claim,
    Claimed,
    Left,
    Refused,
    Said,
    Why,
    decode,
    encode,
)
from tracker.rendezvous import desk, guests

DOCUMENT = (Path(__file__).parents[3] / "docs/protocols/codes.md").read_text("utf-8")


def test_there_is_an_example_of_every_message() -> None:
    examples = [
        bytes.fromhex(text) for text in re.findall(r"```hex\n(.+?)```", DOCUMENT, re.DOTALL)
    ]
    said = [
        Claim(3600),
        Claimed(7, bytes(range(16)), "192.0.2.9"),
        Ask(7, b"hello"),
        Said(1, b"hello", "192.0.2.8"),
        Left(1),
        Refused(Why.UNKNOWN),
    ]
    assert [decode(data) for data in examples] == said
    assert [encode(message) for message in said] == examples
    kinds = re.findall(r"^\| (\d) \| ([A-Z]+) \|", DOCUMENT, re.MULTILINE)
    assert kinds == [(f"{each.kind}", type(each).__name__.upper()) for each in said]


def test_the_keys_are_those_of_the_example() -> None:
    block = re.search(r"```keys\n(.+?)```", DOCUMENT, re.DOTALL)
    assert block
    for line in block[1].splitlines():
        use, key = line.split()
        assert derived(bytes(range(32)), use.encode()).hex() == key


def test_the_limits_are_those_that_are_told() -> None:
    told = dict(re.findall(r"^\| (\w[^|]+) \| ([0-9][^|]*) \|$", DOCUMENT, re.MULTILINE))
    numbers = {
        row: [int(each.replace(" ", "")) for each in re.findall(r"\d[\d ]*", said)]
        for row, said in told.items()
    }
    assert numbers["numbers, of one line"] == [desk.MOST_NUMBERS, desk.NUMBERS_PER_LINE]
    assert numbers["guests, of one line (an address of IPv4, a /64 of IPv6)"] == [
        desk.MOST_GUESTS,
        desk.GUESTS_PER_LINE,
    ]
    assert numbers["takers of one number, of one line among them"] == [
        desk.VISITS_PER_NUMBER,
        desk.VISITS_PER_LINE,
    ]
    assert numbers["questions of one line"] == [desk.ASKS_AT_ONCE, desk.ASKS_A_SECOND]
    assert numbers["messages of a giver"] == [guests.GIVER_AT_ONCE, guests.GIVER_A_SECOND]
    assert numbers["what a guest does not take"] == [guests.MOST_WAITING]
    assert numbers["silence before the first message; a visit"] == [desk.SILENT_FOR, desk.VISIT_FOR]
    assert numbers["a message"] == [MOST_MESSAGE]
    assert (
        f"at most {MOST_BODY // 1000} {MOST_BODY % 1000} bytes, a taker's {desk.TAKER_BODY}"
        in DOCUMENT
    )
    assert f"after **{MOST_WRONG}** in all the code is dead" in DOCUMENT
    assert f"one code of {65536 // MOST_WRONG // 1000} {65536 // MOST_WRONG % 1000}" in DOCUMENT
    assert (MOST_A_SECOND, MOST_VISITS) == (20, 64)
    assert "Twenty takers a second are answered, 64 at a time." in DOCUMENT
