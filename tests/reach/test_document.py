"""The examples in docs/protocols/reach.md are what is sent."""

import re
from pathlib import Path

from p2pswarm.formats.ids import Address
from p2pswarm.formats.signing import SigningKey
from p2pswarm.reach import stun
from p2pswarm.reach.checking import LOST, MOST_ANSWERED, MOST_TRIES
from p2pswarm.reach.offers import Candidate, CandidateKind, Nat, Offer, RelayAt
from p2pswarm.reach.streams import greeting_to
from p2pswarm.wire.reaching import OPENING, Greeting, GreetingFramer
from tests.support.feeding import feed

DOCUMENT = (Path(__file__).parents[2] / "docs/protocols/reach.md").read_text("utf-8")
PASSWORD = "passwordpasswordpassword"


def example(name: str) -> bytes:
    block = re.search(rf"```{name}\n(.+?)```", DOCUMENT, re.DOTALL)
    assert block
    return bytes.fromhex(block[1])


def test_the_offer() -> None:
    data = example("offer")
    offer = Offer.parse(data)
    assert offer.encode() == data
    key, to = (SigningKey(bytes(range(n, n + 32))).public for n in (0, 1))
    offer.check(key, to, 1_800_000_000)
    assert offer.candidates.udp == (
        Candidate(CandidateKind.HOST, Address("192.168.1.5", 46881)),
        Candidate(CandidateKind.REFLEXIVE, Address("192.0.2.9", 20000)),
    )
    assert offer.candidates.nat is Nat.PORT
    assert offer.relays == (RelayAt(b"super node sixte", Address("192.0.2.1", 46881)),)
    assert (offer.ufrag, offer.password) == ("ufragABC", PASSWORD)


def test_every_key_of_the_offer_is_told() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", DOCUMENT, re.MULTILINE)
    assert rows == sorted(rows)
    for row in rows:
        assert f"{len(row)}:{row}".encode() in example("offer")


def test_a_check_and_its_answer() -> None:
    asked, answered = stun.read(example("check")), stun.read(example("answer"))
    assert asked.attributes["USERNAME"] == "ufragABC:ufragXYZ"
    assert "USE-CANDIDATE" in asked.attributes
    assert stun.is_signed(asked, PASSWORD)
    assert stun.is_signed(answered, PASSWORD)
    assert stun.mapped(answered) == Address("192.0.2.9", 20000)
    assert stun.answer(asked, Address("192.0.2.9", 20000), PASSWORD) == example("answer")


def test_the_greeting() -> None:
    [greeting] = feed(GreetingFramer(), example("greeting"))
    assert isinstance(greeting, Greeting)
    assert greeting == greeting_to(Offer.parse(example("offer")))
    assert example("greeting").startswith(OPENING)


def test_the_numbers() -> None:
    assert f"stay away for {LOST} s" in DOCUMENT
    assert f"{MOST_ANSWERED} answers a second" in DOCUMENT
    assert MOST_TRIES == 12
    words = [nat.text.removesuffix(" NAT") for nat in Nat]
    words[Nat.NONE] = "none"
    assert ", ".join(f"{n} {word}" for n, word in enumerate(words)) in DOCUMENT
