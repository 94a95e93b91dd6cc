"""Coming in, what the server says by itself, and what one tells it about oneself."""

from dataclasses import dataclass

from p2pswarm.wire.napster.frames import AboutNick, Bare, Message, Text

__all__ = [
    "ChangeEmail",
    "ChangePassword",
    "ChangePort",
    "ChangeSpeed",
    "Channels",
    "Error",
    "Login",
    "LoginAck",
    "Motd",
    "NickCheck",
    "NickFree",
    "NickInvalid",
    "NickTaken",
    "NoSuch",
    "PingServer",
    "Register",
    "Stats",
    "VersionCheck",
]


class Error(Text):
    """Before login: why not."""

    number = 0


@dataclass(slots=True)
class Login(Message):
    """`port` 0: nobody can connect to me. `speed` is from 0, unknown, to 10, T3 and above."""

    number = 2
    layout = 'nick password #port "client" #speed'

    nick: str
    password: str
    port: int
    client: str
    speed: int


@dataclass(slots=True)
class LoginAck(Message):
    """You are in."""

    number = 3
    layout = "email..."

    email: str = ""


class VersionCheck(Bare):
    """Windows clients wait until the server has sent this back."""

    number = 4


@dataclass(slots=True)
class Register(Message):
    """Login as somebody new, with an account from now on."""

    number = 6
    layout = 'nick password #port "client" #speed [email...]'

    nick: str
    password: str
    port: int
    client: str
    speed: int
    email: str | None = None


class NickCheck(AboutNick):
    """May I have this name?"""

    number = 7


class NickFree(Bare):
    """You may."""

    number = 8


class NickTaken(Bare):
    """It has an account."""

    number = 9


class NickInvalid(Bare):
    """It is no name."""

    number = 10


# The server


@dataclass(slots=True)
class Stats(Message):
    """How large the network is."""

    number = 214
    layout = "[#users] [#files] [#gigabytes]"

    users: int | None = None
    files: int | None = None
    gigabytes: int | None = None


class NoSuch(Text):
    """After login: why not."""

    number = 404


class Channels(Bare):
    """Which rooms are there? The server ends its list with it."""

    number = 617


class Motd(Bare):
    """One line of the message of the day."""

    number = 621


class PingServer(Bare):
    """Sent back as it is."""

    number = 750


# About oneself


@dataclass(slots=True)
class ChangeSpeed(Message):
    """My line is so fast now."""

    number = 700
    layout = "#speed"

    speed: int


@dataclass(slots=True)
class ChangePassword(Message):
    """A new password for my account."""

    number = 701
    layout = "password"

    password: str


@dataclass(slots=True)
class ChangeEmail(Message):
    """A new address for my account."""

    number = 702
    layout = "email..."

    email: str


@dataclass(slots=True)
class ChangePort(Message):
    """I listen here now."""

    number = 703
    layout = "#port"

    port: int
