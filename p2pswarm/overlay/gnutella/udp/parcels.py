"""Hits in datagrams: many results of ours become several small hits, so that a lost one costs little.

A datagram of more than one packet is lost with any of its packets; GUESS (4.2) recommends 1 KiB.
"""

from collections.abc import Iterator
from dataclasses import replace

from p2pswarm.wire.gnutella.hit import MAX_RESULTS, QueryHit

__all__ = ["PARCEL", "parcels"]

PARCEL = 1024  # bytes of a payload, when it has more than one result


def parcels(hit: QueryHit, most: int = PARCEL) -> Iterator[QueryHit]:
    """The same results in hits of at most `most` bytes. Raises LocalProtocolError for what cannot be said."""
    empty = size = len(replace(hit, results=()).encode())
    start = 0
    for end, result in enumerate(hit.results):
        own = len(result.encode())
        if end > start and (size + own > most or end - start == MAX_RESULTS):
            yield replace(hit, results=hit.results[start:end])
            start, size = end, empty
        size += own
    if hit.results:
        yield replace(hit, results=hit.results[start:])
