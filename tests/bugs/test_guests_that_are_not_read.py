"""A guest of the rendezvous was read on while aiohttp had too much of it, and that grew without bound."""

import asyncio
from typing import Any

import pytest
from aiohttp import web

from tracker.connections import PatientServer


class Wire(asyncio.Transport):
    reads = True

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True


async def _nobody(request: web.BaseRequest) -> web.StreamResponse:
    raise AssertionError


@pytest.mark.parametrize("size", [100, 5000])
async def test_more_is_read_when_there_is_room(size: int, monkeypatch: Any) -> None:
    server = PatientServer(_nobody, 10.0)
    guest, wire = server(), Wire()
    guest.transport, guest.kept, guest._upgraded = wire, True, True
    monkeypatch.setattr(
        web.RequestHandler, "data_received", lambda self, data: self.pause_reading()
    )
    guest.data_received(bytes(size))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not wire.reads
    guest.resume_reading()
    assert wire.reads
    guest.hush()
    guest.resume_reading()
    assert not wire.reads
    await server.shutdown(0.1)
