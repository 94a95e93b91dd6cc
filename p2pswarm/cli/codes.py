"""Short codes on the command line: what `share` prints beside its link, and what `get` makes of one.

The rendezvous of a share is its own tracker, and then the code says where that is; one that both sides name
(`--rendezvous`) is not part of it. The torrent is never announced at a rendezvous that is somebody else's:
who knows the info-hash needs no code.
"""

import asyncio
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from random import SystemRandom
from typing import TYPE_CHECKING, NamedTuple

from p2pswarm.cli.exits import UsageError
from p2pswarm.cli.report import Report
from p2pswarm.cli.running import Stop
from p2pswarm.cli.text import counted
from p2pswarm.config import Settings, format_duration
from p2pswarm.errors import CodeError, FormatError, NetworkError, RemoteError
from p2pswarm.formats.code import Code
from p2pswarm.formats.ids import Address
from p2pswarm.net.binding import bound_addresses, own_addresses

if TYPE_CHECKING:
    from p2pswarm.discovery.client import HttpClient
    from p2pswarm.discovery.codes.rendezvous import GivenCode, Happened
    from p2pswarm.discovery.lsd import Lsd
    from p2pswarm.formats.magnet import Magnet
    from p2pswarm.formats.metainfo import Metainfo
    from p2pswarm.node import Node

__all__ = ["CodeOffer", "code_given", "taken"]

_MOST_PEERS = 8
_BEGINS = 0.5  # seconds until who has typed a code knows what it stands for, and may be dialed
_MOST_LINK = 8 << 10  # bytes; what is longer loses web seeds, and trackers from its end


class CodeOffer(NamedTuple):
    """How a code is given: for how long, at which rendezvous, and where that is if it is our own."""

    seconds: float
    rendezvous: str
    at: Address | None


@asynccontextmanager
async def code_given(
    offer: CodeOffer,
    metainfo: "Metainfo",
    peers: Sequence[Address],
    node: "Node",
    report: Report,
) -> AsyncIterator[None]:
    """While the body runs, whoever types the code gets the link with these peers in it, and is dialed."""
    if not offer.seconds:
        yield
        return
    if metainfo.private:
        report.note("no code: peers do not tell what a private torrent is to who has only its link")
        yield
        return
    from p2pswarm.discovery.codes.rendezvous import GivenCode

    settings, port = node.settings, node.port
    async with _client(settings) as client:
        ours = (Address(host, port) for host in own_addresses(bound_addresses(settings.bind)))
        link = partial(_link, metainfo, [*peers, *ours][:_MOST_PEERS], port)
        told = _Told(offer, report, node.torrents[metainfo.info_hash].await_peer)
        given = GivenCode(offer.rendezvous, client, SystemRandom(), link, told.hear, offer.at)
        told.given = given
        giving = asyncio.create_task(_give(given, told, settings))
        try:
            yield
        finally:
            giving.cancel()
            with suppress(asyncio.CancelledError):
                await giving


async def _give(given: "GivenCode", told: "_Told", settings: Settings) -> None:
    """Until the code is over, and meanwhile the local network is told where that is."""
    async with asyncio.TaskGroup() as tasks:
        answering = tasks.create_task(_answer_near(told, settings))
        await given.run(told.offer.seconds)
        answering.cancel()


async def _answer_near(told: "_Told", settings: Settings) -> None:
    """For who types number and words alone. Another rendezvous than ours has to be named by both."""
    from p2pswarm.discovery.codes.near import answer

    at = told.offer.at
    if at is not None and settings.lsd:
        await told.drawn.wait()
        await answer(told.given.code.number, _lsd(settings, at.port))


async def taken(
    code: Code, rendezvous: str | None, node: "Node", report: Report, stop: Stop
) -> "Magnet":
    """What the code stands for. Raises CodeError, NetworkError, FormatError, UsageError, StoppedError."""
    from p2pswarm.discovery.codes.rendezvous import take
    from p2pswarm.discovery.codes.visits import pack_place
    from p2pswarm.formats.magnet import Magnet

    settings = node.settings
    place = pack_place(node.port, own_addresses(bound_addresses(settings.bind)))
    async with _client(settings) as client:
        ask = partial(take, client=client, dice=SystemRandom(), place=place)
        where = f"http://{code.at}" if code.at else rendezvous
        if where is not None:
            report.note(f"asking {where} for code {code.number}")
            link = await stop.unless(ask(code, where))
        else:
            link = await stop.unless(_taken_nearby(code, settings, ask, report))
    try:
        magnet = Magnet.parse(link.decode())
    except (UnicodeDecodeError, FormatError) as error:
        raise FormatError(f"code {code.number} stands for no magnet link") from error
    report.event("code_opened", number=code.number, magnet=str(magnet))
    again = shlex.join(["p2pswarm", "get", str(magnet)])
    report.note(
        f"that is {magnet.name or 'a torrent'}; when the code is over this goes on: {again}"
    )
    return magnet


async def _taken_nearby(
    code: Code, settings: Settings, ask: Callable[[Code, str], Awaitable[bytes]], report: Report
) -> bytes:
    """The link, of somebody in the local network. Raises CodeError, NetworkError, UsageError."""
    from p2pswarm.discovery.codes.near import Nearby

    where = "Type it as share printed it, with @HOST:PORT, or name the --rendezvous"
    if not settings.lsd:
        raise UsageError(f"where is code {code.number} given? {where}")
    error: RemoteError = CodeError(f"nobody in the local network gives code {code.number}. {where}")
    nearby = Nearby(code.number, _lsd(settings, 1))
    report.note(f"looking for code {code.number} in the local network")
    try:
        while (place := await nearby.next()) is not None:
            try:
                return await ask(code, f"http://{place}")
            except (CodeError, NetworkError) as why:
                error = why
    finally:
        nearby.close()
    raise error


class _Told:
    """What happens to a code, in words."""

    def __init__(self, offer: CodeOffer, report: Report, found: Callable[[Address], None]) -> None:
        """`found` hears where receivers are."""
        self.offer, self._report, self._found = offer, report, found
        self.given: GivenCode
        self.drawn = asyncio.Event()

    def hear(self, what: "Happened") -> None:
        report, given = self._report, self.given
        match what:
            case "drawn":
                self.drawn.set()
                self._tell_code(given.code)
            case "given":
                for place in given.latest:
                    asyncio.get_running_loop().call_later(_BEGINS, self._found, place)
                report.event("code_given", times=given.given)
                report.note(f"by the code came {counted(given.given, 'receiver')} so far")
            case "guessed":
                report.note(f"the code was typed wrong; that may happen {given.left} times more")
            case "dead":
                report.note("too many wrong guesses: the code is over, the rest goes on")
            case "expired":
                report.note("the code is over, the rest goes on")
            case "lost":
                report.note(f"{self.offer.rendezvous} gave the number of the code to somebody else")
            case "unreachable":
                report.note(f"no code at {self.offer.rendezvous}: {given.trouble}; trying again")

    def _tell_code(self, code: Code) -> None:
        offer, words = self.offer, ["p2pswarm", "get", str(code)]
        if offer.at is None:
            words += ["--rendezvous", offer.rendezvous]
        command, lasts = shlex.join(words), format_duration(offer.seconds)
        self._report.note(f"for {lasts} the other side may as well type:")
        self._report.result(command, command=command, code=str(code), expires=offer.seconds)
        self._report.picture(partial(_qr, command))


def _qr(text: str) -> list[str]:
    """Rows of half blocks: light where the code is light."""
    import io

    import segno

    rows = io.StringIO()
    segno.make_qr(text, error="l").terminal(rows, border=2, compact=True)
    return rows.getvalue().splitlines()


def _link(metainfo: "Metainfo", peers: Sequence[Address], port: int, seen: str) -> bytes:
    """The magnet link, with our address as the rendezvous sees it among the peers."""
    from p2pswarm.formats.magnet import Magnet

    here = Address(seen, port)
    known = dict.fromkeys([*peers, here] if here.dialable else peers)
    magnet = Magnet.of(metainfo, tuple(known))
    if len(str(magnet)) > _MOST_LINK:
        magnet = replace(magnet, web_seeds=())
    while len(str(magnet)) > _MOST_LINK:  # the rest is names and addresses, and never so long
        magnet = replace(magnet, trackers=magnet.trackers[:-1])
    return str(magnet).encode()


def _lsd(settings: Settings, port: int) -> "Lsd":
    """For one number; `port` is where that is given."""
    from p2pswarm.discovery.lsd import Lsd
    from p2pswarm.net.multicast import interfaces

    hosts = bound_addresses(settings.bind)
    return Lsd(lambda: port, lambda: interfaces(hosts), SystemRandom())


@asynccontextmanager
async def _client(settings: Settings) -> "AsyncIterator[HttpClient]":
    """A client that comes from the addresses that are used."""
    from p2pswarm.discovery.client import HttpClient

    client = HttpClient(hosts=bound_addresses(settings.bind), most=2)
    try:
        yield client
    finally:
        await client.aclose()
