"""What members tell about themselves (port, speed, password) and ask of the server (numbers, its message)."""

from functools import partial

from p2pswarm.wire.napster import (
    ChangeEmail,
    ChangePassword,
    ChangePort,
    ChangeSpeed,
    Channels,
    Message,
    Motd,
    NoSuch,
    PingServer,
    Stats,
    VersionCheck,
)
from tracker.napster.accounts import Accounts
from tracker.napster.index import FileIndex
from tracker.napster.people import Duties, Member, People

__all__ = ["Profile", "is_speed"]

_GIGABYTE = 1 << 30
_LONGEST_EMAIL = 200


def is_speed(number: int) -> bool:
    """From 0, unknown, to 10, T3 and above."""
    return 0 <= number <= 10


class Profile:
    """Messages 700 to 703, 214, 617, 621, 750 and 4. `motd_lines` is the message of the day."""

    def __init__(self, index: FileIndex, people: People, accounts: Accounts | None) -> None:
        self._index, self._people, self._accounts = index, people, accounts
        self.motd_lines: list[str] = []

    def duties(self) -> Duties:
        return {
            ChangeSpeed: ("talk", self.change_speed),
            ChangePassword: ("talk", self.change_password),
            ChangeEmail: ("talk", self.change_email),
            ChangePort: ("talk", self.change_port),
            Stats: ("talk", lambda member, _: member.send(self.stats())),
            Motd: ("talk", lambda member, _: member.send(*self.motd())),
            Channels: ("talk", lambda member, _: member.send(Channels())),
            PingServer: ("talk", lambda member, message: member.send(message)),
            VersionCheck: ("talk", lambda member, _: member.send(VersionCheck())),
        }

    def stats(self) -> Stats:
        return Stats(len(self._people), self._index.files, self._index.size // _GIGABYTE)

    def motd(self) -> list[Message]:
        return [Motd(line) for line in self.motd_lines]

    def change_speed(self, member: Member, message: ChangeSpeed) -> None:
        if is_speed(message.speed):
            member.speed = message.speed
            self._index.arrive(member.number, member.speed)
        else:
            member.send(NoSuch("invalid speed"))

    def change_port(self, member: Member, message: ChangePort) -> None:
        if message.port < 65536:
            member.port = message.port
        else:
            member.send(NoSuch("invalid data port"))

    def change_password(self, member: Member, message: ChangePassword) -> None:
        if self._accounts is None:
            member.send(NoSuch("this server keeps no accounts"))
            return

        def changed(done: bool) -> None:
            member.send(NoSuch("password changed" if done else "the password stays as it was"))

        verb = partial(self._accounts.change_password, member.nick, message.password)
        member.session.ask(verb, changed)

    def change_email(self, member: Member, message: ChangeEmail) -> None:
        if self._accounts is not None:
            self._accounts.change_email(member.nick, message.email[:_LONGEST_EMAIL])
