"""The options about codes, and how one is asked for.

What stands on a command line is seen by everybody on the machine (`ps`; CVE-2023-43621 of croc), so a code
can also be typed at a prompt, come by standard input, or by `P2PSWARM_CODE`.
"""

import sys
from dataclasses import dataclass, field

from p2pswarm.cli.exits import UsageError
from p2pswarm.config import TEXT, Unit, about
from p2pswarm.formats.code_words import FIRST, SECOND

__all__ = ["Asking", "Meeting", "completions"]

_LONGEST = 400  # characters of a line
_PROMPT = "code: "


def _parse_rendezvous(text: str) -> str:
    """HOST:PORT, or a URL. Raises ValueError."""
    url = text.strip().rstrip("/")
    url = url if "://" in url else f"http://{url}"
    scheme, _, place = url.partition("://")
    host = place.partition("/")[0]
    if scheme not in ("http", "https") or not host or not url.isascii() or not url.isprintable():
        raise ValueError(f"{text[:40]!r} is no rendezvous such as http://192.0.2.1:6969")
    if " " in url or {"?", "#", "@"} & set(url):
        raise ValueError(f"{text[:40]!r} is no rendezvous: nothing follows its address")
    return url


def _asked() -> str:
    """A line from the person or, where there is none, from standard input. Raises UsageError."""
    try:
        if sys.stdin.isatty() and sys.stdout.isatty():
            line = _typed()
        else:
            if sys.stdin.isatty():
                print(_PROMPT, end="", file=sys.stderr, flush=True)
            line = sys.stdin.readline(_LONGEST)
    except EOFError:
        line = ""
    if not line.strip():
        raise UsageError("no code was typed")
    return line.strip()


def _typed() -> str:
    """With the tab key at work."""
    try:
        import readline
    except ImportError:  # not everywhere
        return input(_PROMPT)

    def complete(_: str, state: int) -> str | None:
        return dict(enumerate(completions(readline.get_line_buffer()))).get(state)

    readline.set_completer_delims("- ")
    readline.set_completer(complete)
    readline.parse_and_bind("tab: complete")
    try:
        return input(_PROMPT)
    finally:
        readline.set_completer(None)


def completions(line: str) -> list[str]:
    """What the last word of a code that was begun may become."""
    *before, begun = line.lower().replace(" ", "-").split("-")
    if len(before) not in (1, 2):
        return []
    words, after = ((FIRST, "-"), (SECOND, ""))[len(before) - 1]
    return [word + after for word in words if word.startswith(begun)]


@dataclass(frozen=True)
class Meeting:
    """Where codes are given and asked for."""

    rendezvous: str | None = field(
        default=None,
        metadata=about(
            Unit("URL", _parse_rendezvous),
            "codes are given and asked for at this tracker",
            shown="what the code says; that of share itself",
        ),
    )


@dataclass(frozen=True)
class Asking:
    """A code that no command line shows."""

    code: str = field(
        default="",
        repr=False,
        metadata=about(
            TEXT, "ask for a short code, or read a line of standard input", asked=_asked
        ),
    )
