"""Whom a super node believes to be one: nobody, until its own test was passed.

A link is provisional at first: it is sent no queries and told to nobody. We dial the other side where it
says it can be dialed, and measure what it can give, as `testing` does. Who passed is trusted for some hours,
also when the link was rewired meanwhile; who failed is left, and not tested again for ten minutes. Sans-IO.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from random import Random
from typing import Generic, TypeVar

from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import owner_of
from p2pswarm.overlay.remembering import remember
from p2pswarm.overlay.supernode.options import Options
from p2pswarm.overlay.supernode.promotion import LEAST_RATE

__all__ = ["Trust"]

MOST_TESTS = 2  # that run at a time
TRUSTED_FOR = 7200.0  # seconds until a link is tested again
TESTED_AGAIN = 600.0  # seconds until a host that failed is
TEST_TIME = 30.0  # seconds for a test, with the question for it
TRY_AGAIN = 10.0  # seconds
MOST_SILENT = 2  # tests for which a link gave no nonce, after which it is left: others wait
MOST_REMEMBERED = 1000

L = TypeVar("L", bound=Hashable)


@dataclass(slots=True)
class _Linked:
    node: bytes
    address: Address
    due: float
    trusted: bool = False
    silent: int = 0


class Trust(Generic[L]):
    """`linked` and `left` for each link, `step` says whom to test, `verdict` whether the link stays.

    Invariant: no link is trusted that never passed, and at most two tests run at a time.
    """

    def __init__(self, options: Options, dice: Random) -> None:
        self._options, self._dice = options, dice
        self._links: dict[L, _Linked] = {}
        self._testing: dict[L, float] = {}  # and until when a verdict is waited for
        # Until when who passed is trusted, and until when who failed is not tested again.
        self._passed: OrderedDict[tuple[bytes, Address], float] = OrderedDict()
        self._failed: OrderedDict[str, float] = OrderedDict()

    def may_link(self, address: Address, now: float) -> bool:
        """Not who failed lately; in operator's mode only who is listed."""
        if self._options.supernodes:
            return self._options.listed(address)
        return self._failed.get(owner_of(address.normal), now) <= now

    def linked(self, link: L, node: bytes, address: Address, now: float) -> None:
        """Provisional, unless this node passed here before (a link that was rewired comes back)."""
        address = address.normal
        until = self._passed.get((node, address), now)
        if self._options.listed(address):
            until = float("inf")
        self._links[link] = _Linked(node, address, until, trusted=until > now)

    def left(self, link: L) -> None:
        self._links.pop(link, None)
        self._testing.pop(link, None)

    def testing(self, link: L) -> bool:
        """Whether its test is under way."""
        return link in self._testing

    def trusted(self, link: L) -> bool:
        """Whether it is sent queries and told to others."""
        known = self._links.get(link)
        return known is not None and known.trusted

    def step(self, now: float) -> list[L]:
        """Whom to test now; each ends in `verdict`, `unheard` or `left`, or is begun again."""
        for link in [link for link, until in self._testing.items() if until <= now]:
            self._links[link].silent += 1
            self.unheard(link, now)
        due = [
            link
            for link, known in self._links.items()
            if known.due <= now and link not in self._testing
        ]
        due.sort(key=lambda link: (self._links[link].trusted, self._links[link].due))
        chosen = due[: MOST_TESTS - len(self._testing)]
        self._testing.update(dict.fromkeys(chosen, now + TEST_TIME))
        return chosen

    def silent(self, now: float) -> list[L]:
        """Who does not let itself be tested, and is to be left: it failed."""
        silent = [link for link, known in self._links.items() if known.silent >= MOST_SILENT]
        for link in silent:
            self._fail(self._links[link], now)
        return silent

    def _fail(self, known: _Linked, now: float) -> None:
        again = now + TESTED_AGAIN
        remember(self._failed, owner_of(known.address), again, MOST_REMEMBERED)
        self._passed.pop((known.node, known.address), None)
        known.trusted = False

    def verdict(self, link: L, now: float, *, reachable: bool, rate: int) -> bool:
        """What our own test gave; False when the link is to be closed."""
        if link not in self._testing:
            return link in self._links
        del self._testing[link]
        known = self._links[link]
        if not (reachable and rate >= LEAST_RATE):
            self._fail(known, now)
            return False
        known.trusted, known.silent = True, 0
        known.due = now + TRUSTED_FOR * self._dice.uniform(0.75, 1.25)
        remember(self._passed, (known.node, known.address), known.due, MOST_REMEMBERED)
        return True

    def unheard(self, link: L, now: float) -> None:
        """It came to no verdict; the others have their turn first."""
        if self._testing.pop(link, None) is not None:
            self._links[link].due = now + TRY_AGAIN

    def check(self) -> None:
        assert self._testing.keys() <= self._links.keys()
        assert len(self._testing) <= MOST_TESTS
