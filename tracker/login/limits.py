"""How often somebody may ask: in all, for new names, and with passwords that may be guesses.

A household (a /64 of IPv6) counts as one. Guesses are counted for the name as well: a thousand addresses do
not make a thousand times the guesses. Who holds the key of a name needs no password, so that nobody can lock
him out. Sans-IO.
"""

from ipaddress import IPv4Address, IPv6Address

from p2pswarm.formats.people.names import name_hash
from tracker.proof import Patience

__all__ = ["Limits"]

_A_MINUTE, _AN_HOUR = 1 / 60, 1 / 3600


class Limits:
    """Each answers whether there is one more, which is then taken."""

    def __init__(self) -> None:
        self._claims = Patience(1.0, 60)
        self._names = Patience(6 * _AN_HOUR, 30)
        self._guesses = Patience(_A_MINUTE, 10)
        self._guesses_of_name = Patience(6 * _AN_HOUR, 5)

    def claim(self, caller: IPv4Address | IPv6Address, now: float) -> bool:
        return self._claims.allows(caller.packed, now)

    def new_name(self, caller: IPv4Address | IPv6Address, now: float) -> bool:
        return self._names.allows(caller.packed, now)

    def guess(self, caller: IPv4Address | IPv6Address, name: str, now: float) -> bool:
        """Before each password is looked at, right or wrong."""
        if not self._guesses.allows(caller.packed, now):
            return False
        return self._guesses_of_name.allows(name_hash(name), now)
