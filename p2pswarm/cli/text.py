"""Words on their way to a person: names made harmless, results on stdout.

A torrent's names, a tracker's failure reason and a peer's client name are written by strangers. Whatever
could move the cursor, change colours, reverse the reading direction or start a new line is shown as an
escape. A result that goes into a pipe stays exact, so that `rm "$(p2pswarm get …)"` names the right file.
"""

import os
import sys
from contextlib import suppress

__all__ = ["counted", "printable", "say", "tell_result"]


def printable(text: object) -> str:
    """`text` without anything a terminal would act on: control, format and lone surrogate characters."""
    return "".join(each if each.isprintable() else _escaped(each) for each in str(text))


def _escaped(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def say(text: object) -> None:
    """One line for the person at stderr, made harmless."""
    with suppress(OSError):  # nobody hears it, and the exit code still tells what went wrong
        print(f"p2pswarm: {printable(text)}", file=sys.stderr, flush=True)


def tell_result(text: object) -> None:
    """One line of result on stdout: harmless on a terminal, exact in a pipe. Raises BrokenPipeError.

    The tabs between its fields stay in both.
    """
    line = str(text)
    if sys.stdout.isatty():
        line = "\t".join(map(printable, line.split("\t")))
    sys.stdout.buffer.write(os.fsencode(line) + b"\n")
    sys.stdout.buffer.flush()


def counted(number: int, word: str) -> str:
    """'1 file', '3 files'."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
