"""Members among themselves: messages, hotlists, ignore lists, who somebody is, and whether they live."""

from collections.abc import Callable
from functools import partial

from p2pswarm.wire.napster import (
    AlreadyIgnored,
    Hotlist,
    HotlistAck,
    HotlistAdd,
    HotlistError,
    HotlistRemove,
    Ignore,
    IgnoreEntry,
    IgnoreList,
    IgnoreNobody,
    NoSuch,
    NotIgnored,
    Ping,
    Pong,
    PrivateMessage,
    SignOn,
    SpeedReply,
    SpeedRequest,
    Unignore,
    Whois,
    WhoisReply,
    WhowasReply,
)
from tracker.napster.accounts import Accounts, Seen
from tracker.napster.people import Duties, Member, People, is_nick

__all__ = ["SERVER", "Talk"]

SERVER = "server"  # the nick under which the server asks whether somebody is alive; nobody else's

_MOST_WATCHED = 200
_MOST_IGNORED = 200
# Characters; longer ones are cut, as OpenNap does for the sake of old clients
_LONGEST_MESSAGE = 400
_LEVEL = "User"  # there are no others here


class Talk:
    """`clock` is the server's, in which members' `since` is told."""

    def __init__(
        self,
        people: People,
        accounts: Accounts | None,
        clock: Callable[[], float],
    ) -> None:
        self._people, self._accounts, self._clock = people, accounts, clock

    def duties(self) -> Duties:
        return {
            PrivateMessage: ("talk", self.private_message),
            HotlistAdd: ("talk", self.watch),
            Hotlist: ("talk", self.watch),
            HotlistRemove: ("talk", self.unwatch),
            IgnoreList: ("talk", self.ignore_list),
            Ignore: ("talk", self.ignore),
            Unignore: ("talk", self.unignore),
            IgnoreNobody: ("talk", self.ignore_nobody),
            SpeedRequest: ("talk", self.speed),
            Whois: ("talk", self.whois),
            Ping: ("talk", self.ping),
            Pong: ("talk", self.ping),
        }

    def private_message(self, member: Member, message: PrivateMessage) -> None:
        other = self._listener(member, message.nick)
        if other is not None:
            other.relay(PrivateMessage(member.nick, message.text[:_LONGEST_MESSAGE]))

    def watch(self, member: Member, message: HotlistAdd | Hotlist) -> None:
        if not is_nick(message.nick) or len(member.hotlist) >= _MOST_WATCHED:
            member.send(HotlistError(message.nick))
            return
        self._people.watch(member, message.nick)
        member.send(HotlistAck(message.nick))
        other = self._people.named(message.nick)
        if other is not None:
            member.send(SignOn(other.nick, other.speed))

    def unwatch(self, member: Member, message: HotlistRemove) -> None:
        self._people.unwatch(member, message.nick)

    def ignore_list(self, member: Member, _: IgnoreList) -> None:
        entries = [IgnoreEntry(nick) for nick in member.ignored.values()]
        member.send(*entries, IgnoreList(len(entries)))

    def ignore(self, member: Member, message: Ignore) -> None:
        if message.nick.lower() in member.ignored:
            member.send(AlreadyIgnored(message.nick))
        elif not is_nick(message.nick) or len(member.ignored) >= _MOST_IGNORED:
            member.send(NoSuch(f"{message.nick} cannot be ignored"))
        else:
            member.ignored[message.nick.lower()] = message.nick
            member.send(message)

    def unignore(self, member: Member, message: Unignore) -> None:
        if member.ignored.pop(message.nick.lower(), None) is None:
            member.send(NotIgnored(message.nick))
        else:
            member.send(message)

    def ignore_nobody(self, member: Member, _: IgnoreNobody) -> None:
        count = len(member.ignored)
        member.ignored.clear()
        member.send(IgnoreNobody(count))

    def speed(self, member: Member, message: SpeedRequest) -> None:
        other = self._people.named(message.nick)
        member.send(SpeedReply(other.nick, other.speed) if other else _nobody())

    def whois(self, member: Member, message: Whois) -> None:
        other = self._people.named(message.nick)
        if other is not None:
            member.send(self._described(other))
            return
        left = self._people.left(message.nick)
        if left is not None:
            nick, at = left
            member.send(WhowasReply(nick, _LEVEL, int(at)))
        elif self._accounts is None or not is_nick(message.nick):
            member.send(_unknown(message.nick))
        else:
            self._whowas(member, self._accounts, message.nick)

    def ping(self, member: Member, message: Ping | Pong) -> None:
        """Handed on with whatever else was said; an answer to the server itself has done its work."""
        if message.nick.lower() == SERVER:
            return
        other = self._people.named(message.nick)
        if other is None:
            member.send(NoSuch(f"ping failed, {message.nick} is not online"))
        elif other.ignores(member):
            member.send(NoSuch(f"{other.nick} is ignoring you"))
        else:
            text = message.text and message.text[:_LONGEST_MESSAGE]
            other.relay(type(message)(member.nick, text))

    def _described(self, other: Member) -> WhoisReply:
        return WhoisReply(
            other.nick,
            _LEVEL,
            int(self._clock() - other.since),
            " ",  # no channels
            "Active",
            other.shared,
            other.downloads,
            other.uploads,
            other.speed,
            other.program,
        )

    def _whowas(self, member: Member, accounts: Accounts, nick: str) -> None:
        def found(seen: Seen | None) -> None:
            known = seen and WhowasReply(seen.nick, _LEVEL, seen.at)
            member.send(known or _unknown(nick))

        member.session.ask(partial(accounts.look_up, nick), found)

    def _listener(self, member: Member, nick: str) -> Member | None:
        other = self._people.named(nick)
        if other is None:
            member.send(_nobody())
        elif other.ignores(member):
            member.send(NoSuch(f"{other.nick} is ignoring you"))
            return None
        return other


def _nobody() -> NoSuch:
    return NoSuch("User is not currently online.")


def _unknown(nick: str) -> NoSuch:
    return NoSuch(f"user {nick} is not a known user")
