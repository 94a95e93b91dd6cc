"""Others: who is there, who comes and goes, messages between two."""

from dataclasses import dataclass

from p2pswarm.wire.napster.frames import AboutNick, Count, Message, NickText

__all__ = [
    "AlreadyIgnored",
    "Hotlist",
    "HotlistAck",
    "HotlistAdd",
    "HotlistError",
    "HotlistRemove",
    "Ignore",
    "IgnoreEntry",
    "IgnoreList",
    "IgnoreNobody",
    "NotIgnored",
    "Ping",
    "Pong",
    "PrivateMessage",
    "SignOff",
    "SignOn",
    "SpeedReply",
    "SpeedRequest",
    "Unignore",
    "Whois",
    "WhoisReply",
    "WhowasReply",
]


class PrivateMessage(NickText):
    """To somebody, from somebody."""

    number = 205


class HotlistAdd(AboutNick):
    """Tell me when they come and go."""

    number = 207


class Hotlist(AboutNick):
    """The same, for the list that a client sends at login."""

    number = 208


@dataclass(slots=True)
class SignOn(Message):
    """They have come."""

    number = 209
    layout = "nick #speed"

    nick: str
    speed: int


class SignOff(AboutNick):
    """They have gone."""

    number = 210


class HotlistAck(AboutNick):
    """They are on your list."""

    number = 301


class HotlistError(AboutNick):
    """They are not."""

    number = 302


class HotlistRemove(AboutNick):
    """Do not tell me about them any more."""

    number = 303


class IgnoreList(Count):
    """Whom do I ignore? The server ends the list with their number."""

    number = 320


class IgnoreEntry(AboutNick):
    """One of them."""

    number = 321


class Ignore(AboutNick):
    """I want to hear nothing from them; sent back when it is so."""

    number = 322


class Unignore(AboutNick):
    """I want to hear from them again; sent back when it is so."""

    number = 323


class NotIgnored(AboutNick):
    """You did not ignore them."""

    number = 324


class AlreadyIgnored(AboutNick):
    """You ignore them already."""

    number = 325


class IgnoreNobody(Count):
    """I want to hear from everybody; the server answers with how many were ignored."""

    number = 326


class SpeedRequest(AboutNick):
    """How fast are they?"""

    number = 600


@dataclass(slots=True)
class SpeedReply(Message):
    """So fast."""

    number = 601
    layout = "nick #speed"

    nick: str
    speed: int


class Whois(AboutNick):
    """Who is this?"""

    number = 603


@dataclass(slots=True)
class WhoisReply(Message):
    """Online for so long."""

    number = 604
    layout = 'nick "level" #seconds "channels" "status" #shared #downloads #uploads #speed "client"'

    nick: str
    level: str
    seconds: int
    channels: str
    status: str
    shared: int
    downloads: int
    uploads: int
    speed: int
    client: str


@dataclass(slots=True)
class WhowasReply(Message):
    """Not online; last seen then, in seconds since 1970."""

    number = 605
    layout = 'nick "level" #last_seen'

    nick: str
    level: str
    last_seen: int


@dataclass(slots=True)
class Ping(Message):
    """Are they alive?"""

    number = 751
    layout = "nick [text...]"

    nick: str
    text: str | None = None


@dataclass(slots=True)
class Pong(Message):
    """They are."""

    number = 752
    layout = "nick [text...]"

    nick: str
    text: str | None = None
