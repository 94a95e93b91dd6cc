"""Heads of our answers: which part of a file comes, and what is said beside it. Sans-IO."""

from typing import NamedTuple

from p2pswarm.formats.urns import sha1_urn
from p2pswarm.overlay.files.queue import POLL_MIN
from p2pswarm.overlay.files.serving import FILE, Offer
from p2pswarm.wire.http.heads import AGENT, Headers
from p2pswarm.wire.http.messages import Request, Response, disposition
from p2pswarm.wire.http.queueing import Parq, QueuePlace, understands
from p2pswarm.wire.http.ranges import ContentRange, Range, available
from p2pswarm.wire.http.targets import TreeOf

__all__ = ["Part", "given", "part_of", "queued", "refused"]

RETRY = 60  # seconds; nobody should ask one host for one file more often
_REASONS = {
    200: "OK",
    206: "Partial Content",
    416: "Requested Range Not Satisfiable",
    503: "Requested Range Not Available",  # PFSP
}


class Part(NamedTuple):
    """The bytes from `start` to `end`, or none of them and a code that says why."""

    code: int
    start: int = 0
    end: int = 0


def part_of(offer: Offer, asked: Range | None) -> Part:
    """All of it, exactly the range, or of a partial file what there is from its first byte on.

    Nothing that begins later: gtk-gnutella takes that for a broken server, and never comes again.
    """
    size = offer.gift.size
    if asked is None and offer.ranges is None:
        return Part(200, 0, size)
    within = (asked or Range(0)).within(size)
    if within is None:
        return Part(416)
    first, last = within
    for start, end in [(0, size)] if offer.ranges is None else offer.ranges:
        if start <= first < end:
            return Part(206, first, min(end, last))
    return Part(503)


def given(offer: Offer, part: Part) -> Response:
    """The head of an answer that gives this part, or says why there is none."""
    size = offer.gift.size
    headers = _headers(part.end - part.start)
    if part.end > part.start or part.code == 200:
        headers["Content-Type"] = offer.kind
    if part.code == 206:
        headers["Content-Range"] = str(ContentRange(part.start, part.end, size))
    elif part.code == 416:
        headers["Content-Range"] = f"bytes */{size}"
    elif part.code == 503 and not offer.ranges:  # else it asks at once for what there is (PFSP)
        headers["Retry-After"] = str(RETRY)
    _describe(offer, headers)
    return Response(part.code, _REASONS[part.code], headers)


def _describe(offer: Offer, headers: Headers) -> None:
    if offer.kind == FILE:
        headers["Accept-Ranges"] = "bytes"
    if offer.name:
        headers["Content-Disposition"] = disposition(offer.name)
    if offer.sha1 is not None:
        headers["X-Gnutella-Content-URN"] = sha1_urn(offer.sha1)
        if offer.root is not None:
            headers["X-Thex-URI"] = str(TreeOf(offer.sha1, offer.root))
    if offer.ranges is not None:
        headers["X-Available-Ranges"] = available(offer.ranges)


def refused(code: int, reason: str, retry: int | None = None) -> Response:
    """An answer without a body."""
    headers = _headers(0)
    if retry is not None:
        headers["Retry-After"] = str(retry)
    return Response(code, reason, headers)


def queued(place: QueuePlace, request: Request, name: str) -> Response:
    """Whoever has a place asks again on this connection; the others, and old servents, in a minute.

    `name` stands for the place, in the dialect that wants one.
    """
    if not place.position:
        return refused(503, "Busy", RETRY)
    if understands(request.headers.get("X-Queue")) == 0:
        response = refused(503, "Queued")
        response.headers["X-Queue"] = str(place)
        return response
    response = refused(503, "Queued", POLL_MIN)
    eta = place.position * RETRY
    response.headers["X-Queued"] = str(
        Parq(place.position, place.length, eta, place.poll_max, name)
    )
    return response


def _headers(length: int) -> Headers:
    return Headers({"Server": AGENT, "Content-Length": str(length)})
