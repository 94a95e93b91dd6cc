"""A real browser for one test: Chromium without a window, spoken to by its DevTools protocol over aiohttp."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

__all__ = ["Browser", "chromium", "opened"]

_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--remote-debugging-port=0",
)


def chromium() -> str | None:
    return (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )


class Browser:
    """One page of it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = count(1)
        self._session: str | None = None
        self.said: list[str] = []  # errors of the page, and what its policy forbade

    async def open(self, path: Path) -> None:
        target = await self.call("Target.createTarget", url="about:blank")
        attached = await self.call("Target.attachToTarget", flatten=True, **target)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            await self.call(f"{domain}.enable")
        await self.call("Page.navigate", url=path.as_uri())
        await self.run("new Promise(r => document.readyState == 'complete' ? r() : onload = r)")

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        where = {"sessionId": self._session} if self._session else {}
        await self._socket.send_json(
            {"id": number, "method": method, "params": parameters, **where}
        )
        while True:
            told = await self._socket.receive_json()
            if told.get("id") == number:
                assert "error" not in told, told["error"]
                return told["result"]
            if told.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.said.append(str(told["params"]))

    async def run(self, script: str) -> Any:
        """The value of an expression in the page, waited for if it is a promise."""
        found = await self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")


@asynccontextmanager
async def opened(page: Path, profile: Path) -> AsyncIterator[Browser]:
    program = chromium()
    assert program
    process = await asyncio.create_subprocess_exec(
        program,
        *_FLAGS,
        f"--user-data-dir={profile}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr
    try:
        while b"DevTools listening on" not in (line := await process.stderr.readline()):
            assert line, "the browser ended"
        url = line.decode().split()[-1]
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(url, max_msg_size=0) as ws,
        ):
            browser = Browser(ws)
            await browser.open(page)
            yield browser
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
