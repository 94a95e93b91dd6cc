"""Any free number was asked for, its IPv6 half was taken, and the same number was tried a hundred times."""

import asyncio
import errno
from typing import Any

import pytest

from p2pswarm.net.port import Port


async def test_another_number_is_tried_when_one_is_free_for_ipv4_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = asyncio.get_running_loop()
    create, asked = loop.create_server, []

    async def half_taken(factory: Any, host: str, number: int, **more: Any) -> asyncio.Server:
        asked.append((host, number))
        if len(asked) == 2:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        return await create(factory, host, number, **more)

    monkeypatch.setattr(loop, "create_server", half_taken)
    port = Port("any", 0)
    await port.open()
    try:
        (_, first), (_, taken), (_, second), (_, number) = asked
        assert first == second == 0
        assert 0 < taken != number == port.number
    finally:
        await port.close()
