"""What super nodes found, as hits of the common door; and what is looked for, in their words.

The one hard thing: where a host is, a stranger says. It counts only when that is not nearer to us than who
told it, and a parent that would pass a push on likewise.
"""

from collections.abc import Iterator

from p2pswarm.errors import LocalProtocolError, NetworkError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone, zone_of
from p2pswarm.overlay.query import Hit, Query as Wanted
from p2pswarm.wire.supernode.hits import Found
from p2pswarm.wire.supernode.queries import MAX_WANT, Query
from p2pswarm.wire.supernode.shares import SharedFile

__all__ = ["NAME", "hits_of", "question_for"]

NAME = "supernode"
_HASHES = ("sha1", "tth", "btih")


def question_for(wanted: Wanted, guid: bytes) -> Query:
    """Raises NetworkError for what super nodes cannot be asked."""
    digest = wanted.digest
    if digest is None and not wanted.words:
        raise NetworkError("super nodes cannot be asked for everything: say a word")
    if digest is not None and digest.algorithm not in _HASHES:
        raise NetworkError(f"super nodes cannot be asked by {digest.algorithm}")
    query = Query(
        guid,
        0,
        0,
        wanted.words if digest is None else (),
        wanted.without if digest is None else (),
        wanted.kind,
        wanted.min_size,
        wanted.max_size,
        None if digest is None else (digest.algorithm, digest.value),
        min(wanted.limit, MAX_WANT),
    )
    try:
        query.encode()
    except LocalProtocolError as error:
        raise NetworkError(f"super nodes cannot be asked that: {error}") from error
    return query


def hits_of(found: Found, teller: Zone) -> Iterator[Hit]:
    """Its files, as somebody there brought them; none of a host that is nearer to us than he is."""
    parent = found.supernode
    near = zone_of(found.host.host) > teller
    if near and not found.firewalled:
        return
    proxies = (parent,) if parent is not None and zone_of(parent.host) <= teller else ()
    for file in found.files:
        yield _hit(found, file, somewhere=not near and found.host.dialable, proxies=proxies)


def _hit(found: Found, file: SharedFile, *, somewhere: bool, proxies: tuple[Address, ...]) -> Hit:
    dialable = somewhere and not found.firewalled
    return Hit(
        name=file.name,
        size=file.size,
        network=NAME,
        host=found.host if somewhere else None,
        nick=found.node.hex(),
        index=file.number,
        firewalled=not dialable,
        proxies=proxies,
        sha1=file.sha1,
        tth=file.tth,
        info_hash=file.info_hash,
        peer=found.host if file.info_hash and dialable else None,
    )
