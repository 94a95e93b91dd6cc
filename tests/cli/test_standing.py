"""`answer` says whether one can be called, and answers alone."""

import asyncio
import json
import os
from pathlib import Path

from p2pswarm.cli.standing import Standing, told_whether_callable
from p2pswarm.disk.alone import lock_alone
from p2pswarm.formats.ids import Address
from p2pswarm.overlay.people.client import PeopleStatus
from tests.cli.conftest import Command
from tests.cli.test_conversing import Told
from tests.support.people_world import Town, play

HOME = (Address("192.0.2.1", 46881),)


def status(homes: tuple[Address, ...], trouble: str = "", *, published: bool) -> PeopleStatus:
    return PeopleStatus(
        "bob", homes, published, 1, serves=False, guests=0, relays=0, relayed=0, trouble=trouble
    )


def test_it_is_told_when_it_turns_and_once() -> None:
    standing, told = Standing("bob", 0.0), list[tuple[float, str]]()
    story = [
        (1.0, status((), "it hung up", published=False)),
        (3.0, status((), "it hung up", published=False)),
        (4.0, status((), "cannot reach it", published=False)),
        (5.0, status(HOME, published=False)),  # at home, and nobody finds us yet
        (6.0, status(HOME, published=True)),
        (7.0, status(HOME, published=False)),  # written again, as something has changed
        (8.0, status((), published=True)),
        (9.0, status(HOME, published=True)),  # that was short
        (10.0, status((), published=True)),
        (12.0, status((), published=True)),
        (13.0, status(HOME, published=True)),
        (13.5, status(HOME, published=True)),
    ]
    for now, each in story:
        turn = standing.look(each, now)
        if turn is not None:
            told.append((now, turn.text))
    assert told == [
        (3.0, "no super node takes us in yet: it hung up"),
        (6.0, "bob can be called"),
        (12.0, "no super node takes us in any more: none answers"),
        (13.0, "bob can be called"),
    ]


def test_who_is_at_home_and_not_in_the_directory_is_told_why() -> None:
    standing = Standing("bob", 0.0)
    turn = standing.look(status(HOME, "our record is refused", published=False), 3.0)
    assert turn is not None
    assert turn.text == "bob is not in the directory yet: our record is refused"
    assert (turn.event, turn.reason) == ("not_callable", "our record is refused")


def test_nobody_is_said_to_be_callable_before_the_directory_has_him(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        (only,) = town.clerks
        await town.rest(only.people)
        bob, told = await town.people("bob"), Told()
        async with told_whether_callable(bob, "bob", told):  # type: ignore[arg-type]
            joining = asyncio.ensure_future(bob.join())
            await town.until(lambda: told.of("not_callable"))
            town.serving[only.people] = asyncio.create_task(only.people.serve(only))
            await joining
            assert not told.of("callable")
            await town.until(lambda: told.of("callable"))
            assert town.records
        assert told.notes[-1] == "bob can be called"
        assert len(told.notes) == 2

    play(tmp_path, story, supers=1)


def test_the_second_answer_of_one_data_folder_is_refused(command: Command, tmp_path: Path) -> None:
    lock = lock_alone(tmp_path / "me" / "people" / "answering.lock", "")
    ran = command("answer", "--no-audio", "--json", "--data-dir", tmp_path / "me")
    assert ran.code == 1
    (told,) = [json.loads(line) for line in ran.out.splitlines()]
    assert f"another p2pswarm answer runs with {tmp_path / 'me'}: end it" in told["text"]
    os.close(lock)
    ran = command("answer", "--no-audio", "--json", "--data-dir", tmp_path / "me")
    assert "without a name of one's own: p2pswarm register NAME --login URL" in ran.out
