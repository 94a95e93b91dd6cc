"""The rules of the house that no other tool checks."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = sorted(path for house in ("p2pswarm", "tracker") for path in (ROOT / house).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

# Who may start a task, and who waits for it. Everything else belongs into a TaskGroup that waits itself.
OWNERS = {
    "p2pswarm/node.py": "`Node.remove` cancels the start of a torrent and waits for it",
    "p2pswarm/news.py": "the end of `News` cancels its work and waits for it",
    "p2pswarm/following.py": "`unless_superseded` waits for what it starts",
    "p2pswarm/hosting.py": "`Hosting.aclose` cancels its service and waits for it",
    "p2pswarm/networks.py": "`Networks.aclose` cancels what goes on by itself and waits for it",
    "p2pswarm/calling/taking.py": "`_take_one` cancels what it starts and waits for it",
    "p2pswarm/calling/session.py": "`_until_over` cancels the work and waits for it",
    "p2pswarm/swarm/finding.py": "`Torrent.close` and `MetadataSwarm.close` rest it and wait for its `tasks`",
    "p2pswarm/swarm/torrent.py": "`Torrent.close` cancels the work that `spawn` began and waits for it",
    "p2pswarm/overlay/gnutella/search/searching.py": "`iterative` cancels the asking and waits for it",
    "p2pswarm/lab/dht/network.py": "`DhtNet.close` cancels what `node` began and waits for it",
    "p2pswarm/lab/supernodes/members.py": "`stop` cancels what `start` began and waits for it",
    "p2pswarm/overlay/living.py": "`Life.end` cancels what `begin` started and waits for it",
    "p2pswarm/overlay/supernode/searching.py": "`iterative` cancels the asking and waits for it",
    "p2pswarm/reach/reach.py": "`Reach.close` ends the meetings that `begin` started and waits for them",
    "p2pswarm/reach/elsewhere.py": "`Elsewhere.close` cancels the opening and waits for it",
    "p2pswarm/overlay/napster/client.py": "`leave` cancels what `join` started and waits for it",
    "p2pswarm/calling/call.py": "`Call.close` cancels the keeping of its line and waits for it",
    "tracker/datagrams.py": "`Datagrams.aclose` cancels what `start` began and waits for it",
    "p2pswarm/cli/codes.py": "`code_given` cancels the giving and waits for it",
    "p2pswarm/cli/following.py": "`telling` cancels its listener and waits for it",
    "p2pswarm/cli/magnets.py": "`add_magnet` cancels the adding and waits for it",
    "p2pswarm/cli/health.py": "`beating` cancels its heartbeat and waits for it",
    "p2pswarm/cli/standing.py": "`told_whether_callable` cancels its watch and waits for it",
    "p2pswarm/cli/networking.py": "`watching` cancels its watch and waits for it",
    "p2pswarm/discovery/dht/living.py": "`living` cancels the keeping of the table and waits for it",
    "p2pswarm/cli/receiving.py": "`_take` cancels what shows it and waits for it",
    "p2pswarm/cli/posting.py": "`posting` cancels the post and waits for it",
    "p2pswarm/cli/answering.py": "`_Desk.beside` cancels what `_begin_beside` began and waits for it",
    "p2pswarm/cli/running.py": "`Stop.unless` and `Stop.sleep` wait for what they start",
}

STARTERS = ("create_task", "ensure_future")
GROUPS = ("tasks.create_task", "group.create_task")

MAY_SLEEP = {
    "tests/support/foreign.py": "foreign programs give no sign but time",
    "tests/support/processes.py": "real programs, too",
    "tests/support/gtk.py": "a host that may be slow: time is what it is about",
    "tests/support/neighbour.py": "nothing tells it that a route table has come through; it asks again",
    "tests/interop/test_reach.py": "in its first seconds Transmission hears no calls, and gives no sign",
    "tests/discovery/test_fetch.py": "a server that drips: time is what it is about",
}
VIRTUAL = (
    "tests.support.crowd",
    "p2pswarm.lab.loop",
    "tests.support.scene",
    "tests.support.world",
    "tests.support.people_world",
    "tests.support.gnutella",
    "tests.support.relaying",
    "tests.discovery.virtual",
    "tests.reach.worlds",
)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), filename=name(path))


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call in a file, with the text of what is called."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


@pytest.mark.parametrize("room", ROOMS, ids=name)
def test_a_room_explains_itself_and_says_what_it_offers(room: Path) -> None:
    module = tree(room)
    doc = ast.get_docstring(module)
    assert doc
    assert doc.strip()
    public = [
        node.name
        for node in module.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
    ]
    offered = [
        target.id
        for node in module.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    ]
    only_words = room.name == "__init__.py" and len(module.body) == 1
    assert only_words or "__all__" in offered or not public, "no __all__"


@pytest.mark.parametrize("room", ROOMS, ids=name)
def test_one_room_alone_knows_the_bencode_library(room: Path) -> None:
    imported = {
        alias.name.partition(".")[0]
        for node in ast.walk(tree(room))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in (
            [ast.alias(node.module or "")] if isinstance(node, ast.ImportFrom) else node.names
        )
    }
    assert name(room) == "p2pswarm/formats/bencode.py" or not imported & {"bencodepy", "bencode"}


@pytest.mark.parametrize("room", ROOMS, ids=name)
def test_every_task_has_an_owner(room: Path) -> None:
    """`tasks.create_task` of a group is waited for by the group; of the loop or of asyncio, by nobody."""
    loose = [
        f"{what} in line {call.lineno}"
        for what, call in calls(room)
        if what.endswith(STARTERS) and not what.endswith(GROUPS)
    ]
    assert name(room) in OWNERS or not loose, loose


@pytest.mark.parametrize("owner", OWNERS)
def test_the_list_of_owners_is_kept_true(owner: str) -> None:
    started = [what for what, _ in calls(ROOT / owner) if what.endswith(STARTERS)]
    assert any(not what.endswith(GROUPS) for what in started)


def seconds(call: ast.Call) -> float | None:
    """The constant that a call is given first, if it is one."""
    if call.args and isinstance(call.args[0], ast.Constant):
        value = call.args[0].value
        return float(value) if isinstance(value, int | float) else None
    return None


@pytest.mark.parametrize("test", TESTS, ids=name)
def test_no_test_waits_for_a_clock(test: Path) -> None:
    """Real seconds are never slept away. In a world the clock is virtual and jumps."""
    text = test.read_text("utf-8")
    virtual = any(
        clock in text or name(test) == clock.replace(".", "/") + ".py" for clock in VIRTUAL
    )
    slept = [
        f"{what}({seconds(call)}) in line {call.lineno}"
        for what, call in calls(test)
        if (what == "time.sleep" or (what == "asyncio.sleep" and not virtual))
        and (seconds(call) is None or seconds(call) > 0)
    ]
    assert name(test) in MAY_SLEEP or not slept, slept


def test_the_map_shows_every_room() -> None:
    plan = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    missing = [
        name(room) for room in ROOMS if room.name != "__init__.py" and name(room) not in plan
    ]
    assert not missing


def test_the_map_shows_no_room_twice() -> None:
    """The table is merged line by line, so a row that two changed stays twice."""
    plan = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rows = [row.partition(" | ")[0] for row in plan.splitlines() if row.startswith("| `")]
    shown = [room for row in rows for room in row.strip("| ").split(", ") if room.endswith(".py`")]
    assert [room for room, times in Counter(shown).items() if times > 1] == []


@pytest.mark.parametrize("room", [*ROOMS, *TESTS], ids=name)
def test_nothing_is_left_to_do_later(room: Path) -> None:
    words = ("TO" + "DO", "FIX" + "ME", "XX" + "X:")
    assert not any(word in room.read_text("utf-8") for word in words)


@pytest.mark.parametrize("room", ROOMS, ids=name)
def test_only_faces_print(room: Path) -> None:
    faces = ("p2pswarm/cli/", "p2pswarm/__main__", "tracker/__main__")
    assert name(room).startswith(faces) or "print" not in {what for what, _ in calls(room)}
