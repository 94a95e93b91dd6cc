"""Calls by name between real programs, each behind a router of its own, with super nodes and a login service.

All tests share one town. They stand in the order in which things get worse for it.
"""

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from p2pswarm.calling.jitter import FRAME
from p2pswarm.cli.exits import Exit
from tests.nat.routers import KINDS
from tests.nat.test_lab import udp_is_direct
from tests.nat.town import Town, User
from tests.nat.world import World, world
from tests.support.foreign import until
from tests.support.patience import stopwatch
from tests.support.sound import likeness, read_wav, speech, write_wav

pytestmark = pytest.mark.nat

CALLERS, CALLEES = ({kind: f"{kind}-{who}" for kind in KINDS} for who in ("calls", "answers"))
ROUNDS = [
    [(KINDS[one], KINDS[(one + turn) % 6]) for one in range(6 if turn < 3 else 3)]
    for turn in range(4)
]
LOSS = 0.1
CALLED = 3  # times at most
Tell = Callable[[str], None]


class Shown(NamedTuple):
    """What the caller was shown, and what the routers let in."""

    direct: bool
    """In the end."""
    udp: bool
    """At any time."""
    delivered: bool
    """From each to the other."""


@pytest.fixture(scope="module")
def lab() -> Iterator[World]:
    with world() as made:
        yield made


@pytest.fixture(scope="module")
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, lab: World, stack: ExitStack) -> Town:
    return Town(tmp_path_factory.mktemp("town"), lab, stack)


@pytest.fixture(scope="module")
def people(town: Town) -> dict[str, User]:
    """A caller and a callee behind each kind of router."""
    return town.users({name: kind for names in (CALLERS, CALLEES) for kind, name in names.items()})


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    """Prints a figure that is wanted also when the test passes."""

    def line(text: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{text}\n")

    return line


@pytest.fixture(scope="module")
def refused(lab: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator["Future[Refused]"]:
    """A call that takes long to come to nothing goes on beside the others."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(without_relays, lab, tmp_path_factory.mktemp("strict town"))


class Refused(NamedTuple):
    """How a call ended in a town whose super nodes do not relay."""

    code: int
    stderr: str
    delivered: int


def without_relays(lab: World, home: Path) -> Refused:
    with ExitStack() as stack:
        town = Town(home, lab, stack, "--no-relay")
        users = town.users({"calls": "symmetric", "answers": "symmetric"})
        caller, callee = users["calls"], users["answers"]
        callee.host.count_from(caller.host)
        stack.enter_context(callee.answers("--no-audio", to=caller))
        with caller.runs("call", callee.name, "--no-audio") as calling:
            code = calling.wait()
            return Refused(code, calling.stderr, callee.host.delivered_from(caller.host))


def expected(one: str, other: str) -> Shown:
    """OVERLAYS.md §4.4."""
    if "blocked" in (one, other):
        direct = "symmetric" not in (one, other)
        return Shown(direct, udp=False, delivered=direct)
    direct = udp_is_direct(one, other)
    return Shown(direct, udp=True, delivered=direct)


def talks(caller: User, callee: User, wav: Path) -> Shown | str:
    """One call, in which the caller says the file; or what there was instead."""
    with caller.runs("call", callee.name, "--in", wav) as running:
        if running.wait() != 0 or running.latest("call")["sent"] < 90:
            return running.stderr
        paths = [event for event in running.events if event["event"] == "path"]
    delivered = [
        callee.host.delivered_from(caller.host) > 0,
        caller.host.delivered_from(callee.host) > 0,
    ]
    udp = any(path["udp"] for path in paths)
    return Shown(paths[-1]["direct"], udp, all(delivered))


def test_all_pairs(people: dict[str, User], tmp_path: Path) -> None:
    """In rounds, so that nobody calls or is called twice at a time; each pair once."""
    wav = tmp_path / "2 s.wav"
    write_wav(wav, speech(2))
    shown = {}
    with ExitStack() as stack, ThreadPoolExecutor(len(KINDS)) as pool:
        answering = [
            people[CALLEES[kind]].answers("--no-audio", to=people[CALLERS[kind]]) for kind in KINDS
        ]
        list(pool.map(stack.enter_context, answering))
        for pairs in ROUNDS:
            ends = [(people[CALLERS[one]], people[CALLEES[other]]) for one, other in pairs]
            for one, other in ends:
                one.host.count_from(other.host)
                other.host.count_from(one.host)
            works = [pool.submit(talks, one, other, wav) for one, other in ends]
            shown |= {pair: work.result() for pair, work in zip(pairs, works, strict=True)}
    assert shown == {pair: expected(*pair) for pair in shown}
    assert len({frozenset(pair) for pair in shown}) == 21


@pytest.mark.usefixtures("refused")  # begins
def test_without_the_login_service_a_voice_is_heard_through_two_symmetric_routers(
    lab: World, town: Town, people: dict[str, User], tmp_path: Path, tell: Tell
) -> None:
    """Clearly where links lose nothing, and well where the caller's loses a tenth; relays carried it all.

    Voice that a busy machine stood still for is late, and lost: so they may have to call once more.
    """
    lossy = town.users({"lossy-calls": "symmetric", "lossy-answers": "symmetric"})
    lab.lose(lossy["lossy-calls"].host, LOSS)
    town.login.stop()
    wav, voice = tmp_path / "20 s.wav", speech(20)
    write_wav(wav, voice)
    carried = town.relayed
    pairs = [("symmetric-calls", "symmetric-answers"), ("lossy-calls", "lossy-answers")]
    everybody, size = people | lossy, 0.0
    for turn in range(CALLED):
        with stopwatch() as watch, ThreadPoolExecutor(2) as pool:
            works = [
                pool.submit(
                    heard_by, everybody[one], everybody[other], wav, tmp_path / f"{one} {turn}.wav"
                )
                for one, other in pairs
            ]
            heard = [work.result() for work in works]
        size += sum(each.size for each in heard)
        alike = [likeness(voice, read_wav(each.file))[0] for each in heard]
        for loss, correlation, each in zip((0, LOSS), alike, heard, strict=True):
            tell(
                f"20 s of voice, {each.path}, {loss:.0%} lost on the link: correlation "
                f"{correlation:.3f}, mouth to ear {each.delay_ms} ms, lost {each.loss:.1%}"
            )
        missed = watch.held / 20
        clear = alike[0] > 0.9 and heard[0].loss < 0.02 + missed
        well = alike[1] > 0.7 and LOSS / 2 < heard[1].loss < LOSS * 2 + missed
        if clear and well:
            break
    until(lambda: town.relayed - carried >= size, "relays say so")
    assert clear
    assert well


class Heard(NamedTuple):
    """At the end of a call, by who answered."""

    file: Path
    path: str
    delay_ms: float
    loss: float
    size: float
    """Bytes of voice that came, at least."""


def heard_by(caller: User, callee: User, said: Path, file: Path) -> Heard:
    with callee.answers("--out", file, to=caller) as answering:
        with caller.runs("call", callee.name, "--in", said) as calling:
            assert calling.wait() == 0, calling.stderr
        assert answering.wait() == 0, answering.stderr
        whole, path = answering.latest("call"), answering.latest("path")
    size = whole["rate_in"] / 8 * whole["heard"] * FRAME
    return Heard(file, path["path"], whole["delay_ms"], whole["loss"], size)


def test_who_walks_into_another_network_is_heard_directly_there(
    lab: World, people: dict[str, User], tmp_path: Path, tell: Tell
) -> None:
    caller, callee = people["port-calls"], people["port-answers"]
    wav = tmp_path / "2 minutes.wav"  # longer than all of this takes on a busy machine
    write_wav(wav, speech(120))
    with (
        callee.answers("--no-audio", to=caller) as answering,
        caller.runs("call", callee.name, "--in", wav) as calling,
    ):
        until(lambda: answering.latest("quality").get("heard", 0) > 40, "a voice is heard")
        until(lambda: calling.latest("path")["direct"], "directly")
        lab.move(caller.host, "port")
        moved = time.monotonic()
        callee.host.count_from(caller.host)
        until(lambda: callee.host.delivered_from(caller.host) > 5_000, "directly again")
        tell(f"directly again {time.monotonic() - moved:.1f} s after the walk")
        until(lambda: answering.latest("quality")["heard"] > 40, "the voice is heard again")


def test_when_a_relay_dies_another_one_carries_the_voice_within_five_seconds(
    town: Town, people: dict[str, User], tmp_path: Path, tell: Tell
) -> None:
    caller, callee = people["symmetric-calls"], people["symmetric-answers"]
    wav = tmp_path / "15 s.wav"
    write_wav(wav, speech(15))
    with (
        callee.answers("--out", tmp_path / "heard.wav", to=caller) as answering,
        caller.runs("call", callee.name, "--in", wav) as calling,
        stopwatch() as whole,
    ):
        until(lambda: answering.latest("quality").get("heard", 0) > 40, "the voice is heard")
        relay = calling.latest("path")["relay"]
        town.silence(relay)
        with stopwatch() as watch:
            until(lambda: calling.latest("path")["relay"] not in (None, relay), "another relay")
        assert calling.wait() == 0, calling.stderr
        answering.wait()
        told = [event for event in answering.events if event["event"] == "quality"]
        seconds = [event["time"] for event in told if event["heard"] > 25]  # of 50
        silence = max(later - sooner for sooner, later in pairwise(seconds))
    tell(
        f"another relay {watch.seconds:.1f} s after the first had gone; silence for {silence:.1f} s"
    )
    assert watch.seconds < 5
    assert silence - whole.held < 6  # as far as one can see who is told each second


def test_where_super_nodes_do_not_relay_two_symmetric_routers_let_nothing_through(
    refused: "Future[Refused]",
) -> None:
    code, stderr, delivered = refused.result()
    assert code == Exit.NETWORK, stderr
    assert delivered == 0
