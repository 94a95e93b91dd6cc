"""A place in the line for an upload, in two dialects: active queueing (LimeWire) and PARQ (gtk-gnutella).

Both answer 503 and keep the connection; who waits asks again on it, not too early and not too late. The first
says so in `X-Queue`, the other in `X-Queued` and `Retry-After`.
"""

import re
from dataclasses import dataclass

from typing_extensions import override

from p2pswarm.wire.http.ranges import number

__all__ = ["Parq", "QueuePlace", "understands"]

MOST_FIELDS = 16
MOST_SECONDS = 86_400  # that anybody is believed
_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
_VERSION = re.compile(r"\s*([0-9]{1,3})(?:\.[0-9]{1,3})?\b")


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """`X-Queue` of an answer; position 1 is next. Polls come between `poll_min` and `poll_max` seconds."""

    position: int
    length: int
    limit: int
    poll_min: int
    poll_max: int

    @override
    def __str__(self) -> str:
        return (
            f"position={self.position},length={self.length},limit={self.limit},"
            f"pollMin={self.poll_min},pollMax={self.poll_max}"
        )

    @classmethod
    def read(cls, value: str) -> "QueuePlace | None":
        """None when it names no position: then there is none."""
        fields = _fields(value)
        position = number(fields.get("position"))
        if position is None:
            return None
        low = min(number(fields.get("pollmin")) or 0, MOST_SECONDS)
        high = min(number(fields.get("pollmax")) or MOST_SECONDS, MOST_SECONDS)
        length = number(fields.get("length")) or position
        limit = number(fields.get("limit")) or 1
        return cls(position, length, limit, low, max(low, high))


@dataclass(frozen=True, slots=True)
class Parq:
    """`X-Queued` of an answer; `id` is to be repeated in the next request."""

    position: int
    length: int
    eta: int  # seconds
    lifetime: int
    id: str

    @override
    def __str__(self) -> str:
        return (
            f"position={self.position}; length={self.length}; ETA={self.eta}; "
            f"lifetime={self.lifetime}; ID={self.id}"
        )

    @property
    def repeated(self) -> str:
        """`X-Queued` of the next request."""
        return f"position={self.position}; ID={self.id}"

    @classmethod
    def read(cls, value: str) -> "Parq | None":
        """None without an id; the position is missing in answers that give the file."""
        fields = _fields(value)
        if _ID.fullmatch(fields.get("id", "")) is None:
            return None
        position, length, eta, lifetime = (
            min(number(fields.get(name)) or 0, 1 << 31)
            for name in ("position", "length", "eta", "lifetime")
        )
        return cls(position, length, eta, lifetime, fields["id"])


def understands(value: str | None) -> int | None:
    """What `X-Queue` of a request says: 0 for active queueing, 1 for PARQ, None for neither."""
    found = _VERSION.match(value or "")
    return None if found is None else min(int(found[1]), 1)


def _fields(value: str) -> dict[str, str]:
    parts = re.split(r"[,;]", value, maxsplit=MOST_FIELDS)[:MOST_FIELDS]
    pairs = (part.partition("=") for part in parts)
    return {key.strip().lower(): text.strip() for key, _, text in pairs}
