"""A connection before its login: who are you, and may you come in?

Nicks belong to accounts where there are any, else to whoever is here under them. Who comes back while the
server still takes the old connection for alive (a crash, a new address from the provider) takes its place,
if the password is right.
"""

import hmac
from collections.abc import Callable
from functools import partial
from hashlib import blake2b

from p2pswarm.wire.napster import (
    AlternatePort,
    Error,
    Greeting,
    Login,
    LoginAck,
    Malformed,
    NickCheck,
    NickFree,
    NickInvalid,
    NickTaken,
    NoSuch,
    Register,
    Unknown,
    VersionCheck,
)
from tracker.napster.accounts import Account, Accounts, Refused, Seen
from tracker.napster.limits import Guests
from tracker.napster.people import Member, People, is_nick
from tracker.napster.profile import Profile, is_speed
from tracker.napster.session import Session

__all__ = ["Reception", "Visitor"]

_ANON = "anon@p2pswarm"  # the address of who has none; OpenNap sends such a one
_CHECKS = 20  # nicks that one connection may ask about
# What OpenNap lets pass before login: 11 is a password check that it never answers, 14 a questionnaire.
_IGNORED = frozenset((11, 14, 920))


class Reception:
    """What all visitors share: the rules, and the way in. `admit` makes a member of a visitor."""

    def __init__(
        self,
        people: People,
        accounts: Accounts | None,
        guests: Guests,
        profile: Profile,
        admit: Callable[["Visitor", Login | Register, bytes], Member],
        greeting: str,
        secret: bytes,
        clock: Callable[[], float],
    ) -> None:
        self.people, self.accounts, self.guests, self.profile = people, accounts, guests, profile
        self.admit, self.greeting, self.clock = admit, greeting, clock
        self._secret = secret

    def proof(self, password: str) -> bytes:
        """A password, to be compared while the server runs."""
        data = password.encode("utf-8", "surrogateescape")
        return blake2b(data, key=self._secret, digest_size=16).digest()


class Visitor:
    """The state of a session before login."""

    def __init__(self, session: Session, host: str, reception: Reception) -> None:
        self.session, self.host = session, host
        self._desk = reception
        self._checks = 0

    def handle(self, message: object) -> float:
        match message:
            case Login() | Register():
                self._login(message)
            case NickCheck():
                self._check(message.nick)
            case VersionCheck():
                self.session.send(VersionCheck())
            case AlternatePort():
                pass
            case Unknown(number) if number in _IGNORED:
                pass
            case Malformed(number, why):
                self._refuse(f"invalid message {number}: {why}")
            case _:
                self._refuse("invalid command")
        return 0

    def ready(self) -> None:
        """Nothing waits for room."""

    def gone(self) -> None:
        """Nobody knew them."""

    def _refuse(self, why: str) -> None:
        self.session.refuse(Error(why))

    def _login(self, message: Login | Register) -> None:
        desk, now = self._desk, self._desk.clock()
        if not is_nick(message.nick):
            self.session.refuse(NickInvalid(f"Invalid nick: {message.nick[:40]}"))
        elif not is_speed(message.speed):
            self._refuse(f"{message.speed}: invalid speed")
        elif message.port > 65535:
            self._refuse(f"{message.port}: invalid port")
        elif not desk.guests.may_log_in(self.host, now):
            self._refuse("reconnecting too fast")
        elif desk.accounts is None:
            self._enter(message, _ANON)
        elif desk.accounts.busy:
            self._refuse("too many people log in, try again later")
        else:
            self._ask(desk.accounts, message)

    def _ask(self, accounts: Accounts, message: Login | Register) -> None:
        def answered(outcome: Account | Refused) -> None:
            if isinstance(outcome, Account):
                self._enter(message, outcome.email or _ANON, verified=True)
            else:
                self._refuse(outcome.why)

        email = (message.email or "") if isinstance(message, Register) else None
        may_register = self._desk.guests.may_register(self.host, self._desk.clock())

        def verb(done: Callable[[Account | Refused], None]) -> None:
            def counted(outcome: Account | Refused) -> None:
                self._count(outcome)
                done(outcome)

            nick, password = message.nick, message.password
            accounts.log_in(nick, password, email, may_register=may_register, done=counted)

        self.session.ask(verb, answered)

    def _count(self, outcome: Account | Refused) -> None:
        """Also against who has hung up before the answer."""
        guests, now = self._desk.guests, self._desk.clock()
        if isinstance(outcome, Account) and outcome.new:
            guests.registered(self.host, now)
        elif isinstance(outcome, Refused) and outcome.guess:
            guests.failed(self.host, now)

    def _enter(self, message: Login | Register, email: str, *, verified: bool = False) -> None:
        proof = self._desk.proof(message.password)
        other = self._desk.people.named(message.nick)
        if other is not None:
            same = other.host == self.host and hmac.compare_digest(other.proof, proof)
            if not verified and not same:
                self._refuse(f"{other.nick} is already active")
                return
            other.send(NoSuch("You were disconnected: somebody else logged in as you"))
            other.session.close("somebody else logged in as them")
        member = self._desk.admit(self, message, proof)
        ours = [Greeting(self._desk.greeting)] if member.ours else []
        profile = self._desk.profile
        member.send(LoginAck(email), *ours, *profile.motd(), profile.stats())

    def _check(self, nick: str) -> None:
        """7: may this be my nick?"""
        self._checks += 1
        if self._checks > _CHECKS:
            self._refuse("too many questions")
        elif not is_nick(nick):
            self.session.send(NickInvalid())
        elif self._desk.people.named(nick) is not None:
            self.session.send(NickTaken())
        elif self._desk.accounts is None:
            self.session.send(NickFree())
        else:
            verb = partial(self._desk.accounts.look_up, nick)
            self.session.ask(verb, self._checked)

    def _checked(self, seen: Seen | None) -> None:
        self.session.send(NickFree() if seen is None else NickTaken())
