"""Whether we are to serve, acted on: we ask others to test us, and turn when `promotion` says so."""

import asyncio
import logging
from collections.abc import Callable
from random import Random

from p2pswarm.errors import NetworkError, RemoteError
from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.overlay.supernode.known import Known
from p2pswarm.overlay.supernode.promotion import Ambition, Move
from p2pswarm.overlay.supernode.testing import Nonces, ask
from p2pswarm.overlay.supernode.us import Us
from p2pswarm.wire.supernode.hello import Want
from p2pswarm.wire.supernode.testing import Verdict

__all__ = ["Candidacy"]

log = logging.getLogger(__name__)

MOST_TESTERS = 20  # known super nodes among whom the dice choose


class Candidacy:
    """`tick` once a second; `turned` is called when the role changes, `failed` when tests were in vain."""

    def __init__(
        self,
        port: Port,
        us: Us,
        known: Known,
        dice: Random,
        nonces: Nonces,
        *,
        turned: Callable[[], None],
        failed: Callable[[], None],
    ) -> None:
        self._port, self._us, self._known, self._nonces = port, us, known, nonces
        self._turned, self._failed = turned, failed
        self._clock = asyncio.get_running_loop().time
        self._ambition = Ambition(us.options, dice, self._clock())

    @property
    def serving(self) -> bool:
        """Whether we are to be a super node."""
        return self._ambition.serving

    def invited(self) -> None:
        """A super node needs another one."""
        self._ambition.invited(self._clock())

    def tick(self, tasks: asyncio.TaskGroup) -> None:
        us, now = self._us, self._clock()
        self._ambition.spare(us.spare(), now)
        ours = us.addresses if us.options.supernodes else ()
        move = self._ambition.step(now, ours=ours, nobody=self._known.nobody)
        if move is not Move.BE_TESTED:
            self._turn(move)
            return
        known = self._known.candidates(MOST_TESTERS, us.addresses)
        for tester in self._ambition.begin(known, now):
            tasks.create_task(self._be_tested(tester))

    def _turn(self, move: Move | None) -> None:
        if move is not None:
            log.info("supernode: we %s", "serve" if move is Move.SERVE else "step down")
            self._turned()

    async def _be_tested(self, tester: Address) -> None:
        try:
            verdict = await self._asked(tester)
        except RemoteError as error:
            log.debug("supernode: %s does not test us: %s", tester, error)
            move = self._ambition.unheard(tester, self._clock())
        else:
            log.debug("supernode: %s says of us: %s", tester, verdict)
            self._known.answered(tester)
            reachable, rate = verdict.reachable, verdict.rate
            move = self._ambition.verdict(tester, self._clock(), reachable=reachable, rate=rate)
        if move is None and not self._ambition.tested:
            self._failed()
        self._turn(move)

    async def _asked(self, tester: Address) -> Verdict:
        """Raises RemoteError without a verdict."""
        nonce = self._nonces.give(self._clock())
        if not self._known.may_dial(tester, self._clock()):
            raise NetworkError(f"{tester} is not dialed now")
        return await ask(self._port, tester, self._us.hello(Want.VISIT), nonce)
