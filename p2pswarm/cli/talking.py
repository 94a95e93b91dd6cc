"""The options of commands for people: who we are, what is said and heard in a call, what is sent."""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import platformdirs

from p2pswarm.config import DURATION, FLAG, PATH, TEXT, URL, about, word_of

__all__ = ["Keeping", "Receiving", "Registering", "Sending", "Talking", "Waiting"]


@dataclass(frozen=True)
class Keeping:
    """Where it is kept who we are."""

    data_dir: Path = field(
        default_factory=partial(platformdirs.user_data_path, "p2pswarm"),
        metadata=about(
            PATH,
            "where the key and the name are, in the folder identity",
            shown="$XDG_DATA_HOME/p2pswarm",
        ),
    )


@dataclass(frozen=True)
class Registering:
    """Where a name is registered, and what proves that it is ours beside the key."""

    login: str = field(
        default="",
        metadata=about(
            URL,
            "the login service, as it prints it: https://HOST, or http://HOST:PORT#FINGERPRINT",
            shown="the one of before",
        ),
    )
    password: str = field(
        default="",
        repr=False,
        metadata=about(
            TEXT,
            "the password of the name; the first time it is set, and with it another device, or a new key "
            "after the old one was lost, gets the name, too",
            secret=True,
        ),
    )
    revoke: bool = field(
        default=False,
        metadata=about(
            FLAG,
            "take back the certificates of this key; with the password, those of all other keys of "
            "the name",
        ),
    )


@dataclass(frozen=True)
class Talking:
    """What is said and heard in a call."""

    in_: Path | None = field(
        default=None, metadata=about(PATH, "say this WAV file", shown="the microphone")
    )
    out: Path | None = field(
        default=None,
        metadata=about(PATH, "write what is heard to this WAV file", shown="the loudspeaker"),
    )
    pipe: bool = field(
        default=False,
        metadata=about(
            FLAG, "standard input comes out at the other side's standard output, and the reverse"
        ),
    )
    audio: bool = field(default=True, metadata=about(FLAG, "say and hear; else it is text only"))

    def __post_init__(self) -> None:
        if self.pipe and (self.in_ or self.out):
            raise ValueError("--pipe has no sound, so there is nothing for --in and --out")

    @property
    def wants(self) -> str:
        return "pipe" if self.pipe else "call"

    @property
    def by_machine(self) -> bool:
        """Nobody sits there: one call is taken, unasked."""
        return self.pipe or self.in_ is not None or self.out is not None


@dataclass(frozen=True)
class Receiving:
    """What becomes of files that somebody sends."""

    accept: str = field(
        default="ask",
        metadata=about(
            word_of("WHOSE", ("ask", "contacts", "all")),
            "files of whom are taken: all, of contacts (whom you called or sent something to), or ask; "
            "where there is no terminal, ask is nobody's",
        ),
    )
    save_to: Path = field(
        default=Path(),
        metadata=about(PATH, "put them into this folder", shown="the current folder"),
    )


@dataclass(frozen=True)
class Sending:
    """How long who is not there is waited for."""

    timeout: float | None = field(
        default=None,
        metadata=about(
            DURATION, "give up after this long without anybody who takes it", shown="never"
        ),
    )


@dataclass(frozen=True)
class Waiting:
    """How long a call waits for who is not there."""

    wait_for: float | None = field(
        default=None,
        metadata=about(
            DURATION,
            "who is not there, or talks to somebody else, is called again and again for this long",
            shown="not at all",
        ),
    )
