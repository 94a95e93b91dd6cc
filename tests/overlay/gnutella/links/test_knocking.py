import asyncio

from p2pswarm.net.port import Port
from p2pswarm.overlay.gnutella.links.knocking import MOST_WAITING, Knocking
from tests.support.gnutella import Mesh, play


def test_each_neighbour_is_dialed_once_in_a_while_and_nobody_far_away() -> None:
    async def story(mesh: Mesh) -> None:
        came: list[str] = []
        for name in ("10.0.9.1", "10.0.9.2"):
            mesh.host(name)

            def knock(name: str = name) -> asyncio.Protocol:
                came.append(name)
                return Deaf()

            await mesh.loop.create_server(knock, name, 7000)
        knocking = Knocking(Port(mesh.host().name, 1), mesh.loop.time)
        working = asyncio.ensure_future(knocking.run())
        knocking.asked("10.0.9.1", 7000)
        for _ in range(5):
            knocking.asked("10.0.9.1", 7000)
        knocking.asked("10.0.9.1", 0)
        knocking.asked("10.0.9.3", 7000)  # nobody is there
        knocking.asked("10.0.9.2", 7000)
        await asyncio.sleep(30)
        assert came == ["10.0.9.1", "10.0.9.2"]
        await asyncio.sleep(600)
        knocking.asked("10.0.9.1", 7000)
        await asyncio.sleep(5)
        assert came[2:] == ["10.0.9.1"]
        working.cancel()

    play(story)


def test_a_long_line_has_an_end() -> None:
    async def story(mesh: Mesh) -> None:
        knocking = Knocking(Port(mesh.host().name, 1), mesh.loop.time)
        for number in range(MOST_WAITING + 5):
            knocking.asked(f"10.0.8.{number}", 7000)
        assert knocking._waiting.qsize() == MOST_WAITING

    play(story)


class Deaf(asyncio.BufferedProtocol):
    def get_buffer(self, sizehint: int) -> bytearray:
        return bytearray(9)
