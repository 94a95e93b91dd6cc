"""Bye: why a connection is closed, said before it is.

2xx is nobody's fault, 4xx the listener's, 5xx the speaker's. The first line is for people; headers like those
of HTTP may follow it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.wire.text import pack_text, read_text

__all__ = ["Bye"]

MAX_TEXT = 4096  # bytes of line and headers we look at: more than any reason needs
MAX_HEADERS = 32

_CONTROLS = dict.fromkeys([*range(32), 127], " ")


@dataclass(slots=True)
class Bye:
    """The connection ends now; names of `headers` are as they were written."""

    code: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def encode(self) -> bytes:
        """Raises LocalProtocolError for a code or a text that cannot be said."""
        if not 0 <= self.code < 65536:
            raise LocalProtocolError(f"{self.code} is no code")
        lines = [_line(self.text)]
        lines += [_line(f"{name}: {value}") for name, value in self.headers.items()]
        text = "\r\n".join([*lines, "", ""]) if self.headers else lines[0]
        return self.code.to_bytes(2, "little") + pack_text(text) + b"\x00"

    @classmethod
    def read(cls, payload: bytes) -> Self:
        """Raises RemoteProtocolError when there is no code; a text that does not end is read as it is."""
        if len(payload) < 2:
            raise RemoteProtocolError("a bye without a code")
        told = read_text(payload[2 : 2 + MAX_TEXT].partition(b"\x00")[0])
        text, _, rest = told.partition("\n")
        headers = {}
        for line in rest.split("\n", MAX_HEADERS)[:MAX_HEADERS]:
            name, colon, value = line.partition(":")
            if colon and name.strip() and line[0] not in " \t":  # a blank continues the line before
                headers[_plain(name)] = _plain(value)
        return cls(int.from_bytes(payload[:2], "little"), _plain(text), headers)


def _plain(text: str) -> str:
    """It ends up on screens, so control characters are not let through."""
    return text.translate(_CONTROLS).strip()


def _line(text: str) -> str:
    if text != _plain(text):
        raise LocalProtocolError(f"{text!r} is not one line")
    return text
