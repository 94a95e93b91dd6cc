"""Operator's mode over real sockets: who does not know its own address finds out that it is listed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random

from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.net.rate import Limiter
from p2pswarm.overlay.budget import DialBudget
from p2pswarm.overlay.hosts.hosts import Hosts
from p2pswarm.overlay.network import Cost
from p2pswarm.overlay.query import Query
from p2pswarm.overlay.supernode.known import Known
from p2pswarm.overlay.supernode.member import Member
from p2pswarm.overlay.supernode.options import Options
from p2pswarm.overlay.supernode.us import Us
from tests.support.crowd import file

ANYWHERE = "0.0.0.0"


@asynccontextmanager
async def member(port: Port, dice: Random, *listed: Address) -> AsyncIterator[Member]:
    loop = asyncio.get_running_loop()
    options = Options(supernodes=listed, wait=1.0)
    known = Known(Hosts("supernode"), DialBudget(), options, dice, loop.time)
    us = Us(dice.randbytes(16), port, options)
    one = Member(port, dice, us, known, Limiter(0, loop.time, loop.call_later))
    await one.open()
    life = asyncio.ensure_future(one.run())
    try:
        yield one
    finally:
        life.cancel()
        await asyncio.wait([life])
        await port.close()


async def until(one: Member, condition: Callable[[], bool]) -> None:
    """Looked at whenever it has somebody else to ask."""
    async with asyncio.timeout(20):
        while not condition():
            one._moved.clear()
            await one._moved.wait()


async def test_the_listed_serve_though_nobody_told_them_where_they_are() -> None:
    async with AsyncExitStack() as stack:
        ports = [Port(ANYWHERE, 0) for _ in range(3)]
        for port in ports:
            await port.open()
        listed = [Address("127.0.0.1", port.number) for port in ports[:2]]
        one, two, kid = [
            await stack.enter_async_context(member(port, Random(number), *listed))
            for number, port in enumerate(ports)
        ]
        assert one.us.address is None
        await kid.settled()
        await until(one, lambda: one.serves and one.status().links == 1)
        await until(two, lambda: two.serves and two.status().links == 1)
        assert not kid.serves
        assert one.us.address == listed[0]
        one.share([file(1, "blue ocean")])
        hits = [hit.name async for hit in kid.search(Query(("ocean",)), Cost())]
        assert hits == ["blue ocean"]
