"""`dht`: the table of who has what that all nodes keep together, looked into; small items got and put there.

A command is a node for some seconds only. It says that it is read-only, so that nobody counts on it; it
begins with the nodes that earlier ones met, and remembers those it meets.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from random import SystemRandom
from string import hexdigits
from typing import TYPE_CHECKING, Annotated, Any

from p2pswarm.cli.exits import CommandError, Exit, UsageError
from p2pswarm.cli.keyfile import key_in
from p2pswarm.cli.options import Argument, Progress, Publishing
from p2pswarm.cli.report import Report
from p2pswarm.cli.running import Stop, run
from p2pswarm.cli.text import counted
from p2pswarm.cli.visiting import visiting
from p2pswarm.config import Settings
from p2pswarm.errors import FormatError
from p2pswarm.formats.ids import Address, InfoHash

if TYPE_CHECKING:
    from p2pswarm.discovery.dht.dht import Dht
    from p2pswarm.discovery.dht.items import Item
    from p2pswarm.discovery.dht.surveys import SwarmSize
    from p2pswarm.wire.krpc import NodeId

__all__ = ["DhtArgument", "dht"]

DhtArgument = Annotated[
    list[str],
    Argument(
        "WHAT",
        "show (if nothing is said); peers INFOHASH or MAGNET; get TARGET or KEY; put TEXT; sample",
        required=False,
    ),
]

_NOBODY = "no node of the DHT answers; --dht-bootstrap HOST:PORT names one to begin with"

Act = Callable[["Dht", Report], Coroutine[Any, Any, None]]


def dht(what: DhtArgument, publishing: Publishing, settings: Settings, progress: Progress) -> Exit:
    """Look into the DHT, where nodes find peers without a tracker, and get and put small items there.

    show lists the nodes that we know, peers finds those of a torrent. get and put are about items: texts of
    up to about 1000 bytes that other nodes keep for two hours. An item put with --key can be changed by
    whoever has that file, and is got by the public key, which put prints. sample asks nodes which torrents
    they know.
    """
    act = _act(what, publishing)
    with Report(progress) as report:
        return run(partial(_do, act, settings, report), at_once=report.abandon)


async def _do(act: Act, settings: Settings, report: Report, stop: Stop) -> Exit:
    async with visiting(settings) as dht:
        try:
            await stop.unless(act(dht, report))
        except CommandError as error:
            if _knows_somebody(dht):
                raise
            raise CommandError(_NOBODY, Exit.NETWORK) from error
    return Exit.OK


def _knows_somebody(dht: "Dht") -> bool:
    return any(network.nodes for network in dht.status().networks.values())


def _act(what: Sequence[str], publishing: Publishing) -> Act:
    """What to do, with all that was typed read already. Raises UsageError, FormatError, OSError."""
    match what:
        case [] | ["show"]:
            return _show
        case ["peers", name]:
            return partial(_peers, _info_hash(name))
        case ["get", name]:
            salt = publishing.salt.encode()
            return partial(_get, _place(name, salt), salt)
        case ["put", text]:
            if publishing.salt and publishing.key is None:
                raise UsageError("--salt tells the items of one --key apart")
            return _putting(text.encode("utf-8", "surrogateescape"), publishing)
        case ["sample"]:
            return _sample
        case _:
            raise UsageError("say one of: show, peers HASH, get TARGET, put TEXT, sample")


def _info_hash(text: str) -> InfoHash:
    """Of a magnet link, or as it is. Raises FormatError."""
    if len(text) == 40:
        return InfoHash(_unhex(text, "an info-hash or a magnet link", 20))
    from p2pswarm.formats.magnet import Magnet

    is_link = text.lower().startswith("magnet:")
    return (Magnet.parse(text) if is_link else Magnet.named(text)).names.swarms[0]


def _place(text: str, salt: bytes) -> "NodeId":
    """A target, or that of whoever holds a key and puts under this salt. Raises FormatError."""
    from p2pswarm.discovery.dht.items import KEY_SIZE, target_of
    from p2pswarm.wire.krpc import NodeId

    if len(text) == 2 * KEY_SIZE:
        return target_of(_unhex(text, "a public key", KEY_SIZE), salt)
    return NodeId(_unhex(text, "a target", 20))


def _unhex(text: str, what: str, size: int) -> bytes:
    if len(text) != 2 * size or set(text) - set(hexdigits):
        raise FormatError(f"{text[:80]!r} is not {what}: that has {2 * size} hexadecimal digits")
    return bytes.fromhex(text)


def _putting(text: bytes, publishing: Publishing) -> Act:
    """Raises UsageError for a text that is too long or a file that holds no key, OSError."""
    from p2pswarm.discovery.dht.items import ImmutableItem, ItemError, MutableItem, target_of

    try:
        made = ImmutableItem.of(text)
    except ItemError as error:
        raise UsageError(str(error)) from error
    if publishing.key is None:
        return partial(_put, made.target, b"", lambda newest: made)
    key, salt = key_in(publishing.key), publishing.salt.encode()

    def next_one(newest: "Item | None") -> "Item":
        number = newest.sequence if isinstance(newest, MutableItem) else 0
        return MutableItem.signed(key, text, number + 1, salt)

    return partial(_put, target_of(key.public, salt), salt, next_one)


# What can be done


async def _show(dht: "Dht", report: Report) -> None:
    """The nodes of the table, after a look around; on stderr, how we stand in each of the two networks."""
    from p2pswarm.discovery.dht.ids import random_id
    from p2pswarm.wire.krpc import FIND_NODE, Query

    query = Query(method=FIND_NODE, target=random_id(SystemRandom()))
    await dht.lookup(query, lambda contact, reply: None)
    if not _knows_somebody(dht):
        raise CommandError(_NOBODY, Exit.NETWORK)
    for nodes in dht.saved().nodes.values():
        for node in nodes:
            host, port = node.address
            report.result(f"{node.id}\t{node.address}", id=node.id.hex(), host=host, port=port)
    for family, network in dht.status().networks.items():
        name, external = family.name.lower(), network.external
        report.event("dht", network=name, nodes=network.nodes, external=external)
        seen = f", which see us as {external}" if external else ""
        report.note(f"{name}: {counted(network.nodes, 'node')}{seen}")


async def _peers(info_hash: InfoHash, dht: "Dht", report: Report) -> None:
    """Each peer as it is found; then, on stderr, how many there may be that were not named."""
    from p2pswarm.discovery.dht.surveys import scrape

    seen: set[Address] = set()

    def found(peer: Address) -> None:
        if peer not in seen:
            seen.add(peer)
            report.result(str(peer), host=peer.host, port=peer.port)

    cost, size = await asyncio.gather(dht.peers(info_hash, found), scrape(dht, info_hash))
    report.event("swarm", nodes=cost.answered, hops=cost.hops, seeds=size.seeds, others=size.others)
    report.note(
        f"{counted(len(seen), 'peer')} named by {counted(cost.answered, 'node')}; {_in_words(size)}"
    )
    if not seen:
        raise CommandError("nobody announced this torrent", Exit.NO_PEERS)


def _in_words(size: "SwarmSize") -> str:
    if not size.nodes:
        return "none of them counts"
    return f"in all about {counted(size.seeds, 'seed')} and {counted(size.others, 'other')}"


async def _get(target: "NodeId", salt: bytes, dht: "Dht", report: Report) -> None:
    """The value as it is; where it is no text, as JSON."""
    from p2pswarm.discovery.dht.publishing import get

    item = await get(dht, target, salt)
    if item is None:
        raise CommandError("nobody has an item there", Exit.NO_PEERS)
    value = item.value
    line = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else None
    report.result(json.dumps(_plain(value)) if line is None else line, **_facts(item))


async def _put(
    target: "NodeId",
    salt: bytes,
    make: "Callable[[Item | None], Item]",
    dht: "Dht",
    report: Report,
) -> None:
    """The name under which it is got: its target, or the public key."""
    from p2pswarm.discovery.dht.publishing import put

    item, took = await put(dht, target, make, salt)
    if not took:
        raise CommandError("no node of the DHT took it", Exit.NETWORK)
    report.note(f"{counted(took, 'node')} took it, for two hours")
    facts = _facts(item)
    report.result(str(facts.get("key", facts["target"])), nodes=took, **facts)


async def _sample(dht: "Dht", report: Report) -> None:
    """Each info-hash once."""
    from p2pswarm.discovery.dht.ids import random_id
    from p2pswarm.discovery.dht.surveys import sample

    def told(info_hash: InfoHash) -> None:
        report.result(info_hash.hex(), info_hash=info_hash.hex())

    survey = await sample(dht, random_id(SystemRandom()), told)
    if not survey.nodes:
        raise CommandError("no node names any", Exit.NO_PEERS)
    report.note(
        f"{len(survey.info_hashes)} info-hashes of the {survey.known} that "
        f"{counted(survey.nodes, 'node')} know"
    )


def _facts(item: "Item") -> dict[str, object]:
    from p2pswarm.discovery.dht.items import MutableItem

    facts: dict[str, object] = {"target": item.target.hex(), "value": _plain(item.value)}
    if isinstance(item, MutableItem):
        facts |= {"key": item.key.hex(), "salt": _plain(item.salt), "sequence": item.sequence}
    return facts


def _plain(value: object) -> object:
    """What JSON can hold; bytes that are no text keep their escapes."""
    match value:
        case bytes():
            return value.decode("utf-8", "backslashreplace")
        case list():
            return [_plain(each) for each in value]
        case dict():
            return {str(_plain(key)): _plain(each) for key, each in value.items()}
        case _:
            return value
