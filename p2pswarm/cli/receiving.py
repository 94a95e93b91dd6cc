"""What somebody may want of `answer` beside talking: that files are taken, or messages that waited for us."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from p2pswarm.cli.options import Receiving
from p2pswarm.cli.posting import heard_in, known, outbox_in, tell_message
from p2pswarm.cli.report import Report
from p2pswarm.cli.telephones import Telephone
from p2pswarm.cli.text import counted, printable
from p2pswarm.cli.views import Sample
from p2pswarm.config import format_size
from p2pswarm.errors import NetworkError

if TYPE_CHECKING:
    from pathlib import Path

    from p2pswarm.calling.call import Call
    from p2pswarm.formats.metainfo import Metainfo
    from p2pswarm.swarm.status import Status
    from p2pswarm.swarm.torrent import Torrent
    from p2pswarm.wire.calling.letters import Message
    from p2pswarm.wire.calling.parcels import Offer, Parcel

__all__ = ["Reception", "sample_of"]

END_TIME = 10.0  # seconds for whoever called to hang up
ASK_TIME = 240.0  # seconds a person has to say yes; the sender waits 300
READ_TIME = 120.0  # seconds that all messages of one call may take

Ask = Callable[[str, float], Awaitable[bool]]
"""Whether a person says yes to this question within these seconds."""


class Reception:
    """`receive` what `knows` says that it knows."""

    def __init__(
        self, line: Telephone, receiving: Receiving, ask: Ask | None, report: Report
    ) -> None:
        """`ask` is None where nobody sits."""
        self._line, self._receiving, self._ask, self._report = line, receiving, ask, report

    def knows(self, wants: str) -> bool:
        from p2pswarm.wire.calling.letters import MESSAGE
        from p2pswarm.wire.calling.parcels import SEND

        return wants in (SEND, MESSAGE)

    async def receive(self, call: "Call") -> None:
        """Until it is done; the call is open. Raises RemoteError, HostError.

        Who called hangs up: he is the last to know that all is done.
        """
        from p2pswarm.wire.calling.parcels import SEND

        await (self._take(call) if call.wants == SEND else self._read(call))
        await asyncio.wait([call.ended], timeout=END_TIME)

    async def _take(self, call: "Call") -> None:
        from p2pswarm.calling.taking import Taking

        async def decide(offer: "Offer") -> Sequence[int]:
            return await self._decide(call.other, offer)

        shown: list[Torrent] = []
        taking = Taking(call, self._line.node, decide, self._add, shown.append)
        showing = asyncio.create_task(self._show(shown))
        try:
            results = await taking.run()
        finally:
            showing.cancel()
            await asyncio.wait([showing])
        paths = {torrent.metainfo.name: torrent.path for torrent in shown}
        for name, why in results.items():
            self._tell_end(call.other, name, why, paths.get(name))

    async def _show(self, torrents: "Sequence[Torrent]") -> None:
        """How far the newest one is."""
        while True:
            await asyncio.sleep(self._report.every)
            for torrent in torrents[-1:]:
                self._report.status(sample_of(torrent.status(), "receiving"))

    async def _read(self, call: "Call") -> None:
        from p2pswarm.calling.letters import Letters

        def told(message: "Message") -> None:
            tell_message(call.other, message, self._report)

        line = self._line
        letters = Letters(call, outbox_in(line), heard_in(line), told, line.disk)
        try:
            async with asyncio.timeout(READ_TIME):
                await letters.run()
        except TimeoutError as error:
            raise NetworkError(f"{call.other} takes too long for a few messages") from error

    async def _add(self, metainfo: "Metainfo") -> "Torrent":
        return await self._line.node.add(metainfo, save_to=self._receiving.save_to)

    async def _decide(self, sender: str, offer: "Offer") -> Sequence[int]:
        """All of it, or nothing."""
        self._report.event("offered", name=sender, files=[each.name for each in offer.parcels])
        for parcel in offer.parcels:
            self._report.note(f"{sender} sends {_described(parcel)}")
        if await self._is_welcome(sender):
            return range(len(offer.parcels))
        self._report.note(f"what {sender} sends is not taken")
        return ()

    async def _is_welcome(self, sender: str) -> bool:
        accept = self._receiving.accept
        if accept == "contacts" and await known(self._line, sender):
            return True
        if accept == "all" or self._ask is None:
            return accept == "all"
        folder = self._receiving.save_to.absolute()
        return await self._ask(f"type y to take what {sender} sends into {folder}", ASK_TIME)

    def _tell_end(self, sender: str, name: str, why: str, path: "Path | None") -> None:
        if why or path is None:
            self._report.event("failed", name=sender, file=name, reason=why)
            self._report.note(f"{name} of {sender}: {printable(why)}")
        else:
            self._report.result(str(path), path=str(path), name=sender)


def _described(parcel: "Parcel") -> str:
    files = "" if parcel.files == 1 else f"{counted(parcel.files, 'file')}, "
    return f"{printable(parcel.name)} ({files}{format_size(parcel.size)})"


def sample_of(status: "Status", state: str) -> Sample:
    """Of what goes to one person, or comes from one."""
    sends = state == "sending"
    return Sample(
        status.name,
        state,
        min(status.uploaded, status.total) if sends else status.done,
        status.total,
        down_rate=status.down_rate,
        up_rate=status.up_rate,
        peers=status.peers,
        eta=None if sends else status.eta,
    )
