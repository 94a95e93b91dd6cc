from collections import OrderedDict

from p2pswarm.overlay.remembering import remember


def test_the_oldest_goes_and_who_is_heard_again_is_new() -> None:
    known: OrderedDict[str, int] = OrderedDict()
    for number, key in enumerate(["a", "b", "a", "c"]):
        remember(known, key, number, 2)
    assert list(known.items()) == [("a", 2), ("c", 3)]
