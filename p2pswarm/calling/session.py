"""What two do in a call that is not for talking: frames of kinds that a call does not know, until it is done.

Whatever comes first ends it: the work is done, the other side breaks a rule, or the call is over.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from typing import Any

from p2pswarm.calling.call import Call
from p2pswarm.errors import NetworkError, RemoteError, first_of
from p2pswarm.wire.calling.frames import CallFrame

__all__ = ["Session"]


class Session(ABC):
    """For a call that is open; what came before anybody listened has waited."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @abstractmethod
    def _heard(self, frame: CallFrame) -> None:
        """Raises RemoteError, which ends it."""

    async def _until_over(self, work: Coroutine[Any, Any, None]) -> None:
        """The work, unless the call or the other side ends it. Raises NetworkError, RemoteError."""
        working = asyncio.ensure_future(work)
        try:
            self._call.listen(_unread, self._got)
            ends: set[asyncio.Future[Any]] = {working, self._failed, self._call.ended}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                _result_of(working)
                return
            if self._failed.done():
                self._failed.result()
            raise NetworkError(self._call.ended.result() or f"{self._call.other} hung up")
        finally:
            working.cancel()
            await asyncio.wait([working])

    def _got(self, frame: CallFrame) -> None:
        try:
            self._heard(frame)
        except RemoteError as error:
            if not self._failed.done():
                self._failed.set_exception(error)
                self._failed.exception()  # nobody may be there to ask


def _result_of(working: asyncio.Future[None]) -> None:
    """Of what a group of tasks raises, the first."""
    try:
        working.result()
    except BaseExceptionGroup as group:
        raise first_of(group) from None


def _unread(text: str) -> None:
    """Nobody chats here."""
