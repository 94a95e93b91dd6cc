"""A member of a Napster network that claims to have what others have, and brings garbage.

python -m tests.support.liar HOST:PORT HIT       the hit as JSON
"""

import asyncio
import json
import os
import struct
import sys

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.query import Hit
from p2pswarm.overlay.tokens import from_fields

__all__ = ["HOST", "Liar"]

HOST = "127.0.0.66"


class Liar:
    """A member that claims to have what others have, and brings garbage; by hand, byte by byte."""

    def __init__(self, hit: Hit) -> None:
        self._hit = hit

    async def run(self, server: Address) -> None:
        reader, writer = await asyncio.open_connection(*server, local_addr=(HOST, 0))
        hit = self._hit
        name = r"mine\blue moon.mp3"

        def say(number: int, text: str) -> None:
            writer.write(struct.pack("<HH", len(text), number) + text.encode())

        say(2, 'liar pw 0 "p2pswarm/0.1" 0')
        try:
            while True:
                length, number = struct.unpack("<HH", await reader.readexactly(4))
                words = (await reader.readexactly(length)).decode().split()
                if number == 0x7000:
                    assert hit.sha1 is not None
                    assert hit.md5 is not None
                    say(100, f'"{name}" {hit.md5.hex()} {hit.size} 0 0 0')
                    say(0x7001, f'"{name}" {hit.sha1.hex()} {hit.info_hash}')
                elif number == 607:
                    say(608, f'{words[0]} "{name}"')
                elif number == 501:
                    port = int(words[2])
                    ip = ".".join(map(str, int(words[1]).to_bytes(4, "little")))
                    await self._bring(Address(ip, port), name)
        finally:
            writer.close()

    async def _bring(self, address: Address, name: str) -> None:
        reader, writer = await asyncio.open_connection(*address, local_addr=(HOST, 0))
        try:
            assert await reader.readexactly(1) == b"1"
            writer.write(f'SENDliar "{name}" {self._hit.size}'.encode())
            await reader.read(20)
            for _ in range(self._hit.size // 65536 + 1):
                writer.write(os.urandom(65536))
                await writer.drain()
            await reader.read()
        except ConnectionError:
            pass
        finally:
            writer.close()


def main() -> None:
    server, hit = Address.parse(sys.argv[1]), from_fields(json.loads(sys.argv[2]))
    asyncio.run(Liar(hit).run(server))


if __name__ == "__main__":
    main()
