"""A node of ours with many torrents, as a program: what `many` measures.

    python many_p2pswarm.py TORRENTS DATA STATE IP

It seeds every torrent of the folder TORRENTS from DATA and keeps its notes in STATE. It ends on SIGINT.
Events, as JSON lines: `listening` (port), `ready` when every torrent seeds.
"""

import asyncio
import gc
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvloop

from p2pswarm import Node, Settings


def tell(event: str, **fields: Any) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


async def seed(torrents: Sequence[Path], data: Path, state: Path, host: str) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stopped.set)
    async with Node(Settings(bind=host, port=0, data_dir=state)) as node:
        tell("listening", port=node.port)
        for path in torrents:
            await node.add(path, data=data / path.stem)
        for torrent in node.torrents.values():
            await torrent.finished()
        tell("ready")
        await stopped.wait()


def main() -> None:
    folder, data, state, host = sys.argv[1:]
    torrents = sorted(Path(folder).iterdir())
    # As our command does: little of what a node makes is garbage in cycles
    gc.set_threshold(50_000)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(seed(torrents, Path(data), Path(state), host))


if __name__ == "__main__":
    main()
