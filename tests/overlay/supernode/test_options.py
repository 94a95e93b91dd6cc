from typing import Any

import pytest

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.supernode.options import Options, Wish


def test_the_defaults_are_kazaas_figures() -> None:
    assert Options().children == (60, 150)
    assert Options().links == (30, 50)
    assert Options().rewire == 600


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"children": (20, 10)}, "20-10 is not a range from 1 to 10000"),
        ({"links": (5, 4)}, "5-4 is not a range"),
        ({"children": (0, 10)}, "0-10 is not a range"),
        ({"links": (1, 100_000)}, "not a range from 1 to 1000,"),
        ({"rewire": 0.0}, "rewire must be"),
        ({"wait": float("inf")}, "wait must be"),
        ({"promote_after": -1.0}, "promote_after must be"),
        ({"promote_after": float("nan")}, "promote_after must be"),
        ({"wish": Wish.SUPER, "firewalled": True}, "firewalled node cannot"),
        ({"connect": (Address("10.0.0.1", 0),)}, "nobody can be dialed at"),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Options(**settings)


@pytest.mark.parametrize(
    ("options", "willing"),
    [
        (Options(), True),
        (Options(wish=Wish.SUPER), True),
        (Options(wish=Wish.ORDINARY), False),
        (Options(firewalled=True), False),
    ],
)
def test_who_opted_out_is_not_willing(options: Options, willing: bool) -> None:
    assert options.willing is willing


def test_the_operators_list_names_addresses_in_any_spelling() -> None:
    options = Options(supernodes=(Address("::ffff:10.0.0.1", 7),))
    assert options.listed(Address("10.0.0.1", 7))
    assert not options.listed(Address("10.0.0.1", 8))
