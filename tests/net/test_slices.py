"""Others have their turn between one piece of dear work and the next."""

import asyncio

from p2pswarm.net.slices import Slices


async def test_work_is_done_in_its_order_and_others_have_turns_between() -> None:
    done: list[object] = []
    slices = Slices()

    def other(n: int) -> None:
        done.append("other")
        if n:
            asyncio.get_running_loop().call_soon(other, n - 1)

    for n in range(3):
        slices.add(lambda n=n: done.append(n))  # type: ignore[misc]
    assert not done
    other(2)
    while len(done) < 6:
        await asyncio.sleep(0)
    assert [each for each in done if each != "other"] == [0, 1, 2]
    assert done.index(2) > len(done) - 3
    slices.add(lambda: done.append("more"))
    await asyncio.sleep(0)
    assert done[-1] == "more"


async def test_what_fails_holds_up_nobody() -> None:
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
    done: list[int] = []
    slices = Slices()
    slices.add(lambda: [][0])  # type: ignore[arg-type,return-value]
    slices.add(lambda: done.append(1))
    for _ in range(3):
        await asyncio.sleep(0)
    assert done == [1]
    assert len(faults) == 1
