"""What is believed of the answers when items are looked for."""

from p2pswarm.discovery.dht.items import ImmutableItem, MutableItem
from p2pswarm.discovery.dht.publishing import _Newest
from p2pswarm.formats.ids import Address
from p2pswarm.formats.signing import SigningKey
from p2pswarm.wire.krpc import Contact, NodeId, Reply

KEY, OTHER = SigningKey(bytes(32)), SigningKey(b"\1" * 32)
SOMEBODY = Contact(NodeId(bytes(20)), Address("192.0.2.1", 1))


def signed(number: int, key: SigningKey = KEY, salt: bytes = b"") -> MutableItem:
    return MutableItem.signed(key, b"news", number, salt)


def test_the_newest_counts_whoever_says_it() -> None:
    newest = _Newest(signed(1).target, b"")
    for number in (3, 5, 4):
        newest.heard(SOMEBODY, Reply(**signed(number).fields))
    assert newest.item == signed(5)


def test_lies_do_not_count() -> None:
    newest = _Newest(signed(1, salt=b"s").target, b"s")
    for item in (signed(9), signed(9, OTHER, b"s"), ImmutableItem.of(b"other")):
        newest.heard(SOMEBODY, Reply(**item.fields))
    newest.heard(SOMEBODY, Reply(**{**signed(1, salt=b"s").fields, "sequence": 9}))
    newest.heard(SOMEBODY, Reply(sequence=9))
    assert newest.item is None
    newest.heard(SOMEBODY, Reply(**signed(1, salt=b"s").fields))
    assert newest.item == signed(1, salt=b"s")


def test_an_immutable_item_is_its_target() -> None:
    item = ImmutableItem.of([1, b"two", {b"three": 3}])
    newest = _Newest(item.target, b"")
    newest.heard(SOMEBODY, Reply(value=b"i1e"))
    newest.heard(SOMEBODY, Reply(value=item.raw))
    assert newest.item == item
