"""What we are to our neighbours, and who still has a place beside them. Sans-IO.

A node that may choose begins as a leaf. It becomes an ultrapeer when it has none for some seconds and others
can reach it, or at once for a leaf that comes and has none either; and a leaf again when an ultrapeer with
room says that no more are needed.
"""

from collections.abc import Collection, Set
from enum import StrEnum
from random import Random

from p2pswarm.errors import NetworkError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone, zone_of
from p2pswarm.overlay.gnutella.links.agreement import (
    Agreement,
    RefusedGreetingError,
    Role,
    Standing,
)
from p2pswarm.overlay.gnutella.links.link import Link
from p2pswarm.overlay.gnutella.routing.router import Router

__all__ = ["Slots", "Wish"]

# Ultrapeers of a leaf; of an ultrapeer (at least 15: dynamic query, 2.3; a leaf of gtk-gnutella's wants one
# that says 16); neighbours in the flat network.
GOALS = {Role.LEAF: 3, Role.ULTRAPEER: 16, Role.PEER: 8}
MOST_PEERS = {Role.LEAF: 3, Role.ULTRAPEER: 32, Role.PEER: 32}
MOST_LEAVES = 100
MOST_OF_HOST = 3  # links to one host of the Internet; a laboratory has all its nodes on one
ALONE = 5.0  # seconds without an ultrapeer


class Wish(StrEnum):
    """What the user wants this node to be."""

    AUTO = "auto"
    LEAF = "leaf"
    ULTRAPEER = "ultrapeer"
    FLAT = "flat"

    @property
    def role(self) -> Role:
        """To begin with."""
        roles = {Wish.ULTRAPEER: Role.ULTRAPEER, Wish.FLAT: Role.PEER}
        return roles.get(self, Role.LEAF)


class Slots:
    """Decides for the links of a router. `settle` once a second; `admit` a link that was agreed on."""

    def __init__(
        self,
        router: Router,
        wish: Wish,
        now: float,
        *,
        firewalled: bool = False,
        legacy: bool = False,
        guess: bool = False,
        goal: int | None = None,
    ) -> None:
        self._router = router
        self._wish = wish
        self._reachable = not firewalled
        self._legacy = legacy
        router.guess = guess
        self._goal = goal
        self._alone_since = now

    @property
    def goal(self) -> int:
        """How many ultrapeers or equals we want."""
        return GOALS[self._router.role] if self._goal is None else self._goal

    @property
    def missing(self) -> int:
        return max(self.goal - len(self._router.peers()), 0)

    def settle(self, now: float) -> bool:
        """A leaf that has been alone for too long helps itself; whether it is an ultrapeer from now on."""
        role = self._router.role
        self._router.slots = self._free() if role is Role.ULTRAPEER else None
        if role is not Role.LEAF or self._router.peers():
            self._alone_since = now
        elif self._may_lead() and now - self._alone_since >= ALONE:
            self._become(Role.ULTRAPEER)
            return True
        return False

    def standing(self, *, port: int, since: str, dice: Random, dialing: Set[Address]) -> Standing:
        """Who we are, for a greeting that begins now."""
        router = self._router
        leaf_slots, ultrapeer_slots = self._free()
        return Standing(
            role=router.role,
            guid=router.guid,
            port=port,
            leaf_slots=leaf_slots,
            ultrapeer_slots=ultrapeer_slots,
            needed=self.missing > 0,
            may_lead=router.role is Role.LEAF and self._may_lead() and not router.peers(),
            may_follow=self._may_follow(),
            # Also of a leaf, which becomes an ultrapeer for a leaf that dials it.
            degree=self._goal or GOALS[Role.ULTRAPEER],
            guess=router.guess,
            legacy=self._legacy,
            since=since,
            tries=_listening(router.peers(), dice),
            others=_listening(router.leaves(), dice),
            peers=_addresses(router.peers()),
            leaves=_addresses(router.leaves()),
            known=frozenset(link.agreement.guid for link in router.links if link.agreement.guid),
            dialing=dialing,
        )

    def admit(self, agreement: Agreement, host: str) -> None:
        """It shall become a link. Raises NetworkError when what was agreed on holds no more."""
        links = self._router.links
        if agreement.guid and any(link.agreement.guid == agreement.guid for link in links):
            raise RefusedGreetingError(409, "Already connected")
        near = zone_of(host) is not Zone.INTERNET
        if not near and sum(link.remote.host == host for link in links) >= MOST_OF_HOST:
            raise NetworkError(f"{host} has {MOST_OF_HOST} links already")
        if agreement.ours is not self._router.role:
            self._change_for(agreement)
        leaf = agreement.theirs is Role.LEAF and agreement.ours is Role.ULTRAPEER
        if not self._free()[0 if leaf else 1]:
            raise RefusedGreetingError(503, "Busy")

    def _change_for(self, agreement: Agreement) -> None:
        leads = agreement.ours is Role.ULTRAPEER and self._may_lead()
        if (leads and not self._router.peers()) or (
            agreement.ours is Role.LEAF and self._may_follow()
        ):
            self._become(agreement.ours)
        else:
            raise NetworkError("we are something else by now")

    def _become(self, role: Role) -> None:
        """Nobody who knew us as something else may go on to do so."""
        for link in list(self._router.links):
            if link.agreement.ours is not role:
                link.bye(200, f"I am a {role.value} now")
        self._router.role = role
        self._router.slots = self._free() if role is Role.ULTRAPEER else None

    def _may_lead(self) -> bool:
        return self._wish is Wish.AUTO and self._reachable

    def _may_follow(self) -> bool:
        auto = self._wish is Wish.AUTO and self._router.role is Role.ULTRAPEER
        return auto and not self._router.leaves()

    def _free(self) -> tuple[int, int]:
        """Places for leaves, and for ultrapeers and equals."""
        router = self._router
        leaves = MOST_LEAVES - len(router.leaves()) if router.role is Role.ULTRAPEER else 0
        return max(leaves, 0), max(MOST_PEERS[router.role] - len(router.peers()), 0)


def _addresses(links: Collection[Link]) -> list[Address]:
    """Where they listen, or, when they do not say, where they are."""
    return [link.agreement.address or link.remote for link in links]


def _listening(links: Collection[Link], dice: Random) -> list[Address]:
    """Those who can be dialed, in any order."""
    found = [link.agreement.address for link in links if link.agreement.address]
    dice.shuffle(found)
    return found
