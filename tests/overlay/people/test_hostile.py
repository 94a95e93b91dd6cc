"""A super node among hosts that say anything: it raises nothing, and answers no more than it was asked."""

from dataclasses import replace
from random import Random

from hypothesis import given, settings, strategies as st

from p2pswarm.formats.ids import Address
from p2pswarm.lab.people.world import STEP, judge
from p2pswarm.overlay.people.contacts import MOST_FAR, MOST_NEAR
from p2pswarm.overlay.people.directory import Directory
from p2pswarm.overlay.people.questions import Sent
from p2pswarm.overlay.people.revoking import RevokedList
from p2pswarm.wire.people.datagrams import REQUEST_SIZE, pack_datagram
from p2pswarm.wire.people.dictionary import TokenMessage
from tests.support.people_wire import directory_messages

HERE = Address("5.1.1.1", 6881)
hosts = st.sampled_from([Address(f"24.{n}.1.1", 6881) for n in range(6)])


def directory() -> Directory:
    revoked = RevokedList(lambda data: len(data) or None)
    return Directory(b"n" * 16, lambda: HERE, judge, revoked, Random(1))


def look_at(sent: list[Sent]) -> None:
    for to, message, request in sent:
        assert isinstance(to, Address)
        assert len(pack_datagram(message.encode(), request=request)) <= REQUEST_SIZE


@settings(max_examples=40)
@given(st.lists(st.tuples(hosts, directory_messages, st.booleans()), max_size=25))
def test_whatever_is_said_or_answered_it_stands(
    said: list[tuple[Address, TokenMessage, bool]],
) -> None:
    node, now = directory(), 0.0
    asked = node.join([Address("24.0.1.1", 6881)], now)
    for source, message, answers in said:
        now += STEP
        asked += node.step(now)
        look_at(asked)
        if answers and asked:  # to a question of ours, with its token, whatever it says
            question = asked[-1]
            message, source = replace(message, token=question.message.token), question.to
        asked = node.got(message, source, now)
        look_at(asked)
        node.contacts.check()
        node.records.check()
        assert len(node.contacts.live) <= MOST_NEAR + 8 * MOST_FAR
    for _ in range(40):
        now += STEP
        look_at(node.step(now))


@settings(max_examples=20)
@given(directory_messages)
def test_a_stranger_is_answered_with_one_datagram_at_most(message: TokenMessage) -> None:
    node = directory()
    for number in range(20):
        node.step(number * STEP)
    stranger = Address("62.1.1.1", 6881)
    assert sum(to == stranger for to, _, _ in node.got(message, stranger, 11.0)) <= 1
