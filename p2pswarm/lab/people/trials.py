"""A directory with its users on virtual time, and what is done to it: lookups, deaths, a catastrophe."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from random import Random
from typing import Literal

from p2pswarm.lab.people.recursion import Outcome
from p2pswarm.lab.people.users import User
from p2pswarm.lab.people.world import Server, World, make_record
from p2pswarm.lab.progress import Progress
from p2pswarm.wire.people.dictionary import TokenMessage
from p2pswarm.wire.people.finding import Find, Found, Referral, Unknown

__all__ = ["Bench", "Lookups", "Mode"]

Mode = Literal["iterative", "recursive", "as the product"]

FIRST = 8.0  # seconds until the first one is the whole directory
COMING = 0.5  # seconds between two super nodes that come
SETTLING = 60.0
USERS_IN = 30.0  # seconds in which all users come
AFTER = 20.0  # seconds until the last lookup of a row has ended
RESET = 0.05  # seconds until guests hear of the death of their home
HEARD_OF = 3  # super nodes that a new one has heard of


@dataclass(slots=True)
class Lookups:
    """What many of them gave."""

    outcomes: list[Outcome] = field(default_factory=list)
    asked: int = 0
    inside: int = 0
    """Messages between super nodes,"""
    inside_bytes: int = 0

    @property
    def found(self) -> list[Outcome]:
        return [each for each in self.outcomes if each.found]

    def share(self) -> float:
        """Of all that were asked."""
        return len(self.found) / self.asked if self.asked else 0.0


class Bench:
    """`build`, then what is wanted."""

    def __init__(self, supers: int, users: int, seed: int) -> None:
        self.world = World(Random(seed))
        self.dice = self.world.dice
        self._supers, self._users = supers, users
        self.users: list[User] = []

    def build(self, progress: Progress) -> None:
        """Super nodes come one after the other, then all users."""
        world = self.world
        world.start()
        world.run(FIRST)
        for number in range(self._supers - 1):
            there = world.servers()
            known = self.dice.sample(there, min(HEARD_OF, len(there)))
            world.start([server.address for server in known])
            world.run(COMING)
            progress(f"people: {number + 2} of {self._supers} super nodes")
        world.run(SETTLING)
        progress(f"people: {self._users} users come")
        places = [server.address for server in world.servers()]
        for number in range(self._users):
            name = sha256(b"user %d" % number).digest()
            user = User(world, name, self.dice.sample(places, len(places)))
            self.users.append(user)
            world.later(self.dice.uniform(0, USERS_IN), user.begin)
        world.run(USERS_IN + SETTLING / 2)

    # Lookups

    def lookups(self, mode: Mode, n: int, seconds: float) -> Lookups:
        """So many, evenly in so long, of users at random by users at random."""
        told = Lookups(asked=n)
        world = self.world
        inside, size = world.inside, world.inside_bytes
        for number in range(n):
            world.later(seconds * number / n, lambda: self.ask(mode, told.outcomes.append))
        world.run(seconds + AFTER)
        told.inside, told.inside_bytes = world.inside - inside, world.inside_bytes - size
        return told

    def ask(self, mode: Mode, then: Callable[[Outcome], None]) -> None:
        """One of somebody, by somebody."""
        asker, sought = self.dice.sample(self.users, 2)
        if mode == "recursive":
            asker.find_recursively(sought.name, then)
        elif mode == "iterative":
            asker.find(sought.name, then)
        else:
            asker.find(sought.name, lambda outcome: _or_by_home(asker, sought, outcome, then))

    # What is done to it

    def kill(self, server: Server) -> None:
        """Its process ends at once: connections are reset, datagrams come to nobody."""
        server.alive = False
        for guest in sorted(server.guests, key=lambda each: each.address):
            if isinstance(guest, User):
                self.world.later(RESET, partial(guest.lost, server.address))

    def kill_share(self, share: float, seconds: float = 0.0) -> list[Server]:
        """So many, spread over so long; who they are."""
        servers = self.world.servers()
        chosen = self.dice.sample(servers, round(share * len(servers)))
        for server in chosen:
            at = self.dice.uniform(0, seconds)
            self.world.later(at, partial(self.kill, server))
        return chosen

    def corrupt(self, share: float) -> list[Server]:
        """So many lie to whoever asks them."""
        servers = self.world.servers()
        chosen = self.dice.sample(servers, round(share * len(servers)))
        for number, server in enumerate(chosen):
            server.lie = (_forges, _denies, _misleads)[number % 3](server)
        return chosen


def _or_by_home(
    asker: User, sought: User, outcome: Outcome, then: Callable[[Outcome], None]
) -> None:
    """When the walk has not found him, homes are asked."""
    if outcome.found:
        then(outcome)
        return

    def add(other: Outcome) -> None:
        seconds, messages = outcome.seconds + other.seconds, outcome.messages + other.messages
        then(Outcome(other.found, other.hops, messages, outcome.size + other.size, seconds))

    asker.find_recursively(sought.name, add)


Lie = Callable[[Find], TokenMessage]


def _forges(server: Server) -> Lie:
    forged = make_record(sha256(b"somebody else").digest(), 1 << 40)
    return lambda find: Found(find.token, forged, 1000)


def _denies(server: Server) -> Lie:
    directory = server.directory
    return lambda find: Unknown(find.token, 60, True, directory.slot, ())


def _misleads(server: Server) -> Lie:
    directory = server.directory
    return lambda find: Referral(find.token, tuple(directory.others(8)), directory.slot)
