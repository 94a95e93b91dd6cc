"""The tracker client on virtual time: hours of announcing in milliseconds."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from random import Random
from socket import AF_INET, AF_INET6, AddressFamily
from typing import Any

import pytest

from p2pswarm.discovery.source import Progress
from p2pswarm.discovery.trackers import MAX_TRACKERS, Body, Trackers, backoff, scrape
from p2pswarm.errors import FormatError, TrackerError
from p2pswarm.formats import bencode
from p2pswarm.formats.ids import Address, InfoHash, PeerId, compact
from p2pswarm.wire.tracker import Announce, Event, Reply, encode_failure
from tests.discovery.virtual import run

HASH, ME = InfoHash(b"h" * 20), PeerId(b"-PS0100-abcdefghijkl")
GOOD, BAD, THIRD = "http://good/announce", "http://bad/announce", "http://third/announce"
PEER, OTHER = Address("1.2.3.4", 5), Address("5.6.7.8", 9)
HOUR = 3600.0

Say = Callable[[Announce], bytes | Awaitable[bytes]]


def names(*peers: Address, **values: Any) -> Say:
    """A tracker that names these peers."""
    values = {"interval": 1800} | values
    return lambda announce: Reply(peers=b"".join(map(compact, peers)), **values).encode()


def says(body: bytes | Exception) -> Say:
    def say(announce: Announce) -> bytes:
        if isinstance(body, Exception):
            raise body
        return body

    return say


async def _for_ever(announce: Announce) -> bytes:
    await asyncio.Event().wait()
    raise AssertionError


@dataclass
class Call:
    time: float
    url: str
    query: str
    announce: Announce


@dataclass
class World:
    """Fake trackers, and a torrent that asks them."""

    answers: dict[str, Say]
    progress: Progress = field(default_factory=lambda: Progress(0, 0, 1000))
    calls: list[Call] = field(default_factory=list)
    found: list[Address] = field(default_factory=list)
    news: list[tuple[str, Reply | TrackerError]] = field(default_factory=list)

    def trackers(self, *tiers: Sequence[str], **options: Any) -> Trackers:
        return Trackers(
            tiers or [list(self.answers)], HASH, ME, lambda: 6881,
            fetch=self.fetch, dice=Random(1), clock=asyncio.get_running_loop().time,
            told=lambda url, news: self.news.append((url, news)), **options,
        )  # fmt: skip

    async def fetch(self, url: str, seconds: float, family: AddressFamily) -> bytes:
        base, _, query = url.partition("?")
        now = asyncio.get_running_loop().time()
        call = Call(now, base, query, Announce.from_query(query.encode()))
        self.calls.append(call)
        try:
            async with asyncio.timeout(seconds):
                answer = self.answers[base](call.announce)
                return answer if isinstance(answer, bytes) else await answer
        except TimeoutError as error:
            raise TrackerError("no answer") from error

    async def live(self, trackers: Trackers, *story: tuple[float, Callable[[], object]]) -> None:
        """Run them; at each of the story's moments do something. The last moment leaves."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(trackers.run(lambda: self.progress, self.found.append))
            for moment, act in story:
                await asyncio.sleep(moment - loop.time())
                result = act()
                if isinstance(result, Coroutine):
                    await result
            await trackers.leave()

    def times(self, url: str) -> list[float]:
        return [
            call.time for call in self.calls if call.url == url and call.announce.event != "stopped"
        ]

    def events(self, url: str) -> list[Event]:
        return [call.announce.event for call in self.calls if call.url == url]


def nothing() -> None:
    pass


def live(
    world: World,
    *story: tuple[float, Callable[[], object]],
    tiers: Sequence[Sequence[str]] = (),
    **options: Any,
) -> Trackers:
    """One whole life of a torrent's trackers; the story's last moment is its end."""

    async def main() -> Trackers:
        trackers = world.trackers(*tiers, **options)
        await world.live(trackers, *story)
        return trackers

    return run(main())


def test_a_life_is_started_regular_and_stopped() -> None:
    world = World({GOOD: names(PEER)})
    live(world, (4000, nothing))
    assert world.found[0] == PEER
    assert [(call.time, call.announce.event) for call in world.calls] == [
        (0, "started"), (1800, ""), (3600, ""), (4000, "stopped"),
    ]  # fmt: skip


def test_what_is_told() -> None:
    world = World({GOOD: names(PEER)}, progress=Progress(10, 20, 30))
    live(world, (1, nothing), key=0xABC)
    started, stopped = (call.announce for call in world.calls)
    assert started == Announce(
        HASH, ME, 6881, uploaded=10, downloaded=20, left=30,
        event=Event.STARTED, numwant=200, key=b"00000ABC",
    )  # fmt: skip
    assert (stopped.numwant, stopped.event, stopped.key) == (0, Event.STOPPED, started.key)


def test_the_key_stays_the_same_and_has_eight_digits() -> None:
    world = World({GOOD: names(PEER)})
    live(world, (4000, nothing))
    (key,) = {call.announce.key for call in world.calls}
    assert len(key) == 8
    assert int(key, 16) >= 0


def test_a_trackers_own_query_is_kept() -> None:
    world = World({GOOD: names(PEER)})
    live(world, (1, nothing), tiers=[[GOOD + "?passkey=s3cret"]])
    assert world.calls[0].query.startswith("passkey=s3cret&info_hash=")


def test_a_trackerid_is_echoed_and_kept() -> None:
    answers = iter([names(PEER, trackerid=b"id one"), names(PEER), names(PEER)])
    world = World({GOOD: lambda announce: next(answers)(announce)})
    live(world, (2000, nothing))
    assert [call.announce.trackerid for call in world.calls] == [b"", b"id one", b"id one"]


def test_completed_is_told_at_once_and_once() -> None:
    world = World({GOOD: names(PEER), THIRD: names(PEER)})

    def complete() -> None:
        world.progress = replace(world.progress, left=0)
        trackers[0].completed()

    trackers: list[Trackers] = []

    async def main() -> None:
        trackers.append(world.trackers([GOOD], [THIRD]))
        await world.live(trackers[0], (100, complete), (2000, nothing))

    run(main())
    for url in (GOOD, THIRD):
        assert world.events(url) == ["started", "completed", "", "stopped"]
        assert world.times(url) == [0, 100, 1900]


def test_who_starts_complete_never_completes() -> None:
    world = World({GOOD: names(PEER)}, progress=Progress(0, 0, 0))
    live(world, (2000, nothing))
    assert world.events(GOOD) == ["started", "", "stopped"]


def test_a_magnet_whose_data_is_here_never_completes() -> None:
    world = World({GOOD: names(PEER)})

    async def main() -> None:
        trackers = world.trackers()

        def know() -> None:
            world.progress = replace(world.progress, left=0)
            trackers.never_lacked()

        await world.live(trackers, (10, know), (2000, nothing))

    run(main())
    assert world.events(GOOD) == ["started", "", "stopped"]


def test_who_completes_before_the_tracker_answers_only_starts() -> None:
    world = World({GOOD: says(TrackerError("down"))})

    def complete() -> None:
        world.progress = replace(world.progress, left=0)
        world.answers[GOOD] = names(PEER)

    live(world, (1, complete), (100, nothing))
    assert world.events(GOOD) == ["started", "started", "stopped"]


def test_who_leaves_when_it_is_complete_says_both() -> None:
    """`get` ends in the moment in which it has everything: `completed` was cancelled on its way."""
    world = World({GOOD: names(PEER)})

    async def main() -> None:
        trackers = world.trackers()

        def complete() -> None:
            world.progress = Progress(5, 1000, 0)
            trackers.completed()

        await world.live(trackers, (10, complete))

    run(main())
    assert world.events(GOOD) == ["started", "completed", "stopped"]
    assert [call.announce.downloaded for call in world.calls] == [0, 1000, 1000]


def test_a_completed_that_fails_is_repeated_after_a_rest() -> None:
    world = World({GOOD: names(PEER)})

    async def main() -> None:
        trackers = world.trackers()

        def complete() -> None:
            world.progress = replace(world.progress, left=0)
            world.answers[GOOD] = says(TrackerError("busy"))
            trackers.completed()

        def recover() -> None:
            world.answers[GOOD] = names(PEER)

        await world.live(trackers, (10, complete), (12, recover), (100, nothing))

    run(main())
    assert world.events(GOOD) == ["started", "completed", "completed", "stopped"]
    assert 15 <= world.times(GOOD)[2] <= 16


def test_started_is_repeated_until_it_is_heard() -> None:
    world = World({GOOD: says(TrackerError("down"))})
    live(world, (60, lambda: world.answers.update({GOOD: names(PEER)})), (200, nothing))
    assert set(world.events(GOOD)[:-1]) == {"started"}
    assert world.found == [PEER]


def test_failures_make_it_rest_longer_each_time() -> None:
    world = World({GOOD: says(TrackerError("down"))})
    live(world, (12 * HOUR, nothing))
    times = world.times(GOOD)
    rests = [later - earlier for earlier, later in pairwise(times)]
    for rest, least in zip(rests, [5, 15, 45, 135, 405, 1215] + [1800] * 50, strict=False):
        assert least <= rest <= 1.2 * least
    assert len(times) < 30


def test_backoff_is_bounded_for_any_number_of_failures() -> None:
    assert 1800 <= backoff(10**9, Random(1)) <= 2160


@pytest.mark.parametrize(
    ("retry_in", "second"), [(60.0, 60), (600.0, 600), (math.inf, None), (None, 5)]
)
def test_retry_in_is_honoured(retry_in: float | None, second: float | None) -> None:
    world = World({GOOD: says(encode_failure(TrackerError("later", retry_in)))})
    live(world, (4 * HOUR, nothing))
    if second is None:
        assert world.times(GOOD) == [0]
    else:
        assert second <= world.times(GOOD)[1] <= second * 1.2


def test_tiers_are_asked_side_by_side() -> None:
    world = World({BAD: _for_ever, GOOD: names(PEER)})
    live(world, (1, nothing), tiers=[[BAD], [GOOD]])
    assert world.times(BAD) == world.times(GOOD) == [0]
    assert world.found == [PEER]


def test_inside_a_tier_the_first_that_works_is_enough() -> None:
    urls = [f"http://t{number}/announce" for number in range(5)]
    world = World(dict.fromkeys(urls, names(PEER)))
    live(world, (8000, nothing))
    asked = {call.url for call in world.calls}
    assert len(asked) == 1


def test_a_tier_is_shuffled() -> None:
    urls = [f"http://t{number}/announce" for number in range(5)]
    firsts = set()
    for seed in range(30):
        world = World(dict.fromkeys(urls, names(PEER)))

        async def main(world: World = world, seed: int = seed) -> None:
            trackers = Trackers(
                [urls], HASH, ME, lambda: 1, fetch=world.fetch, dice=Random(seed),
                clock=asyncio.get_running_loop().time,
            )  # fmt: skip
            await world.live(trackers, (1, nothing))

        run(main())
        firsts.add(world.calls[0].url)
    assert firsts == set(urls)


def test_one_that_works_comes_to_the_front() -> None:
    urls = [f"http://t{number}/announce" for number in range(4)]
    world = World(dict.fromkeys(urls, says(TrackerError("down"))))
    world.answers[urls[2]] = names(PEER, interval=3600)
    live(world, (20000, nothing), tiers=[urls])
    after_the_first_round = [call.url for call in world.calls if call.time > 60]
    assert set(after_the_first_round) == {urls[2]}


def test_when_the_front_one_fails_the_next_is_asked() -> None:
    world = World({GOOD: names(PEER), THIRD: names(OTHER)})

    async def main() -> None:
        trackers = world.trackers([GOOD, THIRD])

        def fail() -> None:
            world.answers[world.calls[0].url] = says(TrackerError("down"))

        await world.live(trackers, (100, fail), (2000, nothing))

    run(main())
    assert set(world.found) == {PEER, OTHER}


def test_one_that_names_nobody_is_not_the_last_word() -> None:
    world = World({BAD: names(), GOOD: names(PEER)})
    for order in ([BAD, GOOD], [GOOD, BAD]):
        world.found.clear()
        live(world, (1, nothing), tiers=[order])
        assert world.found == [PEER]


def test_need_more_asks_again_but_not_before_the_min_interval() -> None:
    world = World({GOOD: names(PEER, min_interval=300)})

    async def main() -> None:
        trackers = world.trackers()
        hunger = [(float(moment), trackers.need_more) for moment in range(1, 1000, 7)]
        await world.live(trackers, *hunger)

    run(main())
    assert world.times(GOOD) == [0, 300, 600, 900]


def test_one_need_more_is_one_more_announce() -> None:
    world = World({GOOD: names(PEER, min_interval=300)})

    async def main() -> None:
        trackers = world.trackers()
        await world.live(trackers, (10, trackers.need_more), (2000, nothing))

    run(main())
    assert world.times(GOOD) == [0, 300]


@pytest.mark.parametrize(("interval", "gap"), [(1800, 120), (60, 60), (1, 1)])
def test_without_a_min_interval_two_minutes_are_kept(interval: int, gap: int) -> None:
    world = World({GOOD: names(PEER, interval=interval)})

    async def main() -> None:
        trackers = world.trackers()
        await world.live(trackers, *[(float(at), trackers.need_more) for at in range(1, 400)])

    run(main())
    times = world.times(GOOD)
    assert all(b - a >= gap for a, b in pairwise(times))
    assert len(times) >= 3


def test_need_more_goes_further_down_the_tier() -> None:
    world = World({GOOD: names(PEER), THIRD: names(OTHER)})

    async def main() -> None:
        trackers = world.trackers([GOOD, THIRD])
        hunger = [(float(moment), trackers.need_more) for moment in range(1, 60)]
        await world.live(trackers, *hunger)

    run(main())
    assert set(world.found) == {PEER, OTHER}
    assert sorted(call.time for call in world.calls[:2]) == [0, 10]
    assert len(world.calls) == 4


def test_a_min_interval_above_the_interval_wins() -> None:
    world = World({GOOD: names(PEER, interval=60, min_interval=900)})
    live(world, (2000, nothing))
    assert world.times(GOOD) == [0, 900, 1800]


def test_ourselves_are_left_out_where_the_tracker_says_who_we_are() -> None:
    myself = Address("9.8.7.6", 6881)
    world = World({GOOD: names(myself, PEER, external_ip=b"\x09\x08\x07\x06")})
    live(world, (1, nothing))
    assert world.found == [PEER]


@pytest.mark.parametrize("far", [True, False])
def test_who_is_far_names_nobody_near(*, far: bool) -> None:
    """It would have us knock at every door of our own network."""
    near = [Address("192.168.1.1", 80), Address("127.0.0.1", 80)]
    tracker = names(PEER, *near)

    def answer(announce: Announce) -> bytes:
        body = Body(tracker(announce))
        body.far = far
        return body

    world = World({GOOD: answer})
    live(world, (1, nothing))
    assert set(world.found) == ({PEER} if far else {PEER, *near})


def test_unknown_schemes_are_shown_and_left_alone() -> None:
    odd = [
        "udp://t:1/announce",
        "wss://t",
        "file:///etc/passwd",
        "gopher://t",
        "",
        "http//t",
        "http://[::1",
    ]
    world = World({GOOD: names(PEER)})
    trackers = live(world, (1, nothing), tiers=[odd[:4], [*odd[4:], GOOD]])
    states = {status.url: status.state for status in trackers.status()}
    assert states == dict.fromkeys(odd, "unsupported") | {GOOD: "working"}
    assert {call.url for call in world.calls} == {GOOD}


def test_only_unsupported_trackers_wait_for_the_end() -> None:
    live(World({}), (5, nothing), tiers=[["udp://t:1"]])
    live(World({}), (5, nothing), tiers=[[]])


def test_status_tells_the_whole_story() -> None:
    world = World(
        {GOOD: names(PEER, complete=3, incomplete=4, warning="be nice"), BAD: says(b"<html>")}
    )

    async def main() -> None:
        trackers = world.trackers([GOOD], [BAD], [THIRD])
        world.answers[THIRD] = _for_ever
        assert {status.state for status in trackers.status()} == {"not contacted"}
        seen = []
        await world.live(trackers, (2, lambda: seen.extend(trackers.status())))
        good, bad, third = seen
        assert (good.state, good.seeds, good.leechers, good.peers) == ("working", 3, 4, 1)
        assert (good.message, good.next_announce, good.tier) == ("be nice", 1798, 0)
        assert (bad.state, bad.failures, bad.seeds, bad.tier) == ("failed", 1, None, 1)
        assert "bencode" in bad.message
        assert bad.next_announce is not None
        assert 3 <= bad.next_announce <= 4
        assert (third.state, third.next_announce) == ("updating", None)

    run(main())


def test_news_are_told() -> None:
    world = World({GOOD: names(PEER), BAD: says(b"junk")})
    live(world, (1, nothing), tiers=[[GOOD], [BAD]])
    kinds = {url: type(news) for url, news in world.news}
    assert kinds == {GOOD: Reply, BAD: TrackerError}


def test_a_tracker_is_announced_to_once_however_often_it_is_named() -> None:
    world = World({GOOD: names(PEER)})
    live(world, (1, nothing), tiers=[[GOOD, GOOD], [GOOD]])
    assert world.events(GOOD) == ["started", "stopped"]


def test_a_torrent_with_ten_thousand_trackers_asks_a_hundred() -> None:
    urls = [f"http://t{number}/announce" for number in range(10_000)]
    world = World(dict.fromkeys(urls, says(TrackerError("who are you?"))))
    live(world, (1, nothing), tiers=[[url] for url in urls])
    assert len({call.url for call in world.calls}) == MAX_TRACKERS


def test_leaving_takes_two_seconds_at_most_and_tells_all_at_once() -> None:
    world = World({GOOD: names(PEER), THIRD: names(PEER)})

    async def main() -> float:
        trackers = world.trackers([GOOD], [THIRD])

        def hang() -> None:
            world.answers.update({GOOD: _for_ever, THIRD: _for_ever})

        await world.live(trackers, (10, hang))
        return asyncio.get_running_loop().time()

    assert run(main()) == 12
    assert [call.time for call in world.calls if call.announce.event == "stopped"] == [10, 10]


def test_who_never_heard_of_us_is_not_told_that_we_leave() -> None:
    world = World({BAD: says(TrackerError("down"))})
    live(world, (100, nothing))
    assert "stopped" not in world.events(BAD)


def test_who_may_be_hearing_of_us_right_now_is_told_that_we_leave() -> None:
    world = World({BAD: _for_ever})
    live(world, (1, nothing))
    assert world.events(BAD) == ["started", "stopped"]


def test_leaving_twice_and_without_having_run_is_fine() -> None:
    world = World({GOOD: names(PEER)})

    async def main() -> None:
        await world.trackers().leave()
        trackers = world.trackers()
        await world.live(trackers, (1, nothing))
        await trackers.leave()

    run(main())
    assert world.events(GOOD) == ["started", "stopped"]


def test_a_refused_farewell_is_nobodys_problem() -> None:
    world = World({GOOD: names(PEER)})
    live(world, (1, lambda: world.answers.update({GOOD: says(b"junk")})))
    assert world.events(GOOD) == ["started", "stopped"]


def test_cancelling_the_task_ends_it_too() -> None:
    world = World({GOOD: names(PEER), BAD: _for_ever})

    async def main() -> None:
        trackers = world.trackers([GOOD], [BAD])
        task = asyncio.ensure_future(trackers.run(lambda: world.progress, world.found.append))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        await trackers.leave()

    run(main())
    assert world.events(GOOD) == ["started", "stopped"]


def test_a_repr_keeps_the_passkey_to_itself() -> None:
    world = World({GOOD: names(PEER)})

    async def main() -> None:
        trackers = world.trackers(["http://me:s3cret@good/s3cret/announce?passkey=s3cret"])
        assert repr(trackers._all[0]) == "<Tracker 'good' not contacted failures 0>"

    run(main())


def test_scraping_a_tracker_that_cannot_be_scraped() -> None:
    async def fetch(url: str, seconds: float) -> bytes:
        raise AssertionError(url)

    with pytest.raises(TrackerError, match="cannot be scraped"):
        run(scrape(fetch, "http://t/x", [HASH]))


# A tracker that lies in every way it can find, beside a good one (promise 11).

PLAGUE = b"".join(
    compact(Address(f"198.51.{n >> 8 & 255}.{n & 255}", 1 + n)) for n in range(45_000)
)
DICT = {b"ip": b"9.9.9.9", b"port": 80}
LIES: dict[str, bytes | Exception | None] = {
    "silence": None,
    "refused": TrackerError("cannot be reached: Connection refused"),
    "not bencode": FormatError("not bencode"),
    "empty": b"",
    "html": b"<!doctype html><title>Parked</title>",
    "json": b'{"interval": 1800, "peers": []}',
    "an integer": b"i1e",
    "a list": b"le",
    "a string": b"5:hello",
    "cut short": b"d8:intervali1800e5:peers6:abc",
    "trailing": b"d8:intervali1800e5:peers0:ee",
    "duplicate keys": b"d8:intervali1e8:intervali1e5:peers0:e",
    "deep": b"l" * 100_000,
    "many tokens": b"d5:peersl" + b"0:" * 400_000 + b"ee",
    "too long": b"d5:peers" + b"2000000:" + b"x" * 2_000_000 + b"e",
    "string longer than itself": b"d5:peers999999999:e",
    "endless integer": b"d8:intervali" + b"9" * 100_000 + b"ee",
    "negative string": b"d-4:e",
    "underscored": b"d8:intervali1_0e5:peers0:e",
    "peers as a number": bencode.encode({b"interval": 1800, b"peers": 5}),
    "peers as a dictionary": bencode.encode({b"interval": 1800, b"peers": DICT}),
    "peers6 as a list of numbers": bencode.encode({b"interval": 1800, b"peers6": [1, 2]}),
    "peers as a list of strings": bencode.encode({b"interval": 1800, b"peers": [b"1.2.3.4:80"]}),
    "peers as names": bencode.encode({b"peers": [{b"ip": b"victim.example", b"port": 80}]}),
    "peers without ports": bencode.encode({b"peers": [{b"ip": b"9.9.9.9"}]}),
    "peers with wild ports": bencode.encode({b"peers": [DICT | {b"port": 2**63}, DICT | {b"port": -1}]}),
    "odd length": bencode.encode({b"interval": 1800, b"peers": b"\1\2\3\4\0"}),
    "impossible peers": bencode.encode({b"peers": bytes(60) + b"\xff" * 60 + b"\xe0\0\0\1\0\x50"}),
    "nobody": bencode.encode({b"interval": 1800, b"peers": b""}),
    "no peers at all": bencode.encode({b"interval": 1800}),
    "no interval": bencode.encode({b"peers": b""}),
    "interval 0": bencode.encode({b"interval": 0, b"peers": b""}),
    "interval -1": bencode.encode({b"interval": -1, b"peers": b""}),
    "interval -2^63": bencode.encode({b"interval": -(2**63), b"peers": b""}),
    "interval 2^63": bencode.encode({b"interval": 2**63, b"peers": b""}),
    "interval as a string": bencode.encode({b"interval": b"1", b"peers": b""}),
    "min interval 0": bencode.encode({b"interval": 1800, b"min interval": 0, b"peers": b""}),
    "min interval 2^63": bencode.encode({b"interval": 60, b"min interval": 2**63, b"peers": b""}),
    "a flood of peers": bencode.encode({b"interval": 1800, b"peers": PLAGUE}),
    "one victim 40 000 times": bencode.encode({b"peers": b"\1\2\3\4\0\x50" * 40_000}),
    "only ourselves": bencode.encode({b"peers": b"\1\2\3\4\x1a\xe1", b"external ip": b"\1\2\3\4"}),
    "external ip as text": bencode.encode({b"peers": b"", b"external ip": b"1.2.3.4"}),
    "counts below zero": bencode.encode({b"peers": b"", b"complete": -5, b"incomplete": 2**64}),
    "a failure": bencode.encode({b"failure reason": b"no"}),
    "a failure with peers": bencode.encode({b"failure reason": b"no", b"peers": b"\1\2\3\4\0\x50"}),
    "a failure that is a number": bencode.encode({b"failure reason": 5}),
    "an endless failure": bencode.encode({b"failure reason": b"\x1b[31m" * 100_000}),
    "retry in 0": bencode.encode({b"failure reason": b"no", b"retry in": 0}),
    "retry in -5": bencode.encode({b"failure reason": b"no", b"retry in": -5}),
    "retry in 2^63": bencode.encode({b"failure reason": b"no", b"retry in": 2**63}),
    "retry never": bencode.encode({b"failure reason": b"no", b"retry in": b"never"}),
    "a warning of a megabyte": bencode.encode({b"peers": b"", b"warning message": b"\r\n" * 500_000}),
    "a huge tracker id": bencode.encode({b"peers": b"", b"tracker id": b"x" * 900_000}),
}  # fmt: skip


@pytest.mark.parametrize("one_tier", [False, True], ids=["beside", "in front"])
@pytest.mark.parametrize("lie", LIES)
def test_a_liar_beside_a_good_tracker(lie: str, one_tier: bool) -> None:
    """In a tier of its own, or in front of the good one in the same tier, for an hour.

    There it can hide the good one until the torrent says that it starves, so in that case it does.
    """
    answer = LIES[lie]
    world = World({BAD: _for_ever if answer is None else says(answer), GOOD: names(PEER)})
    seen: list[float] = []

    def found(address: Address) -> None:
        assert address.dialable
        if address == PEER:
            seen.append(asyncio.get_running_loop().time())

    async def main() -> None:
        trackers = world.trackers(*([[BAD, GOOD]] if one_tier else [[BAD], [GOOD]]))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(trackers.run(lambda: world.progress, found))
            for _ in range(12 * 60):
                await asyncio.sleep(5)
                if one_tier:
                    trackers.need_more()
            for status in trackers.status():
                assert len(status.message) <= 200
                assert status.message.isprintable()
            await trackers.leave()

    run(main())
    calls = [call for call in world.calls if call.url == BAD and call.announce.event != "stopped"]
    # Nobody is asked more often than once a minute for an hour, plus the first tries of the back-off.
    assert len(calls) <= 62
    assert all(len(call.query) < 2000 for call in calls)
    assert seen
    assert seen[0] <= 45


def test_a_tracker_that_fails_in_an_unforeseen_way_is_our_bug_and_shows() -> None:
    world = World({GOOD: says(ZeroDivisionError())})
    with pytest.raises(ExceptionGroup) as caught:
        live(world, (1, nothing))
    assert caught.group_contains(ZeroDivisionError)


class Dual:
    """A tracker that is asked over both families."""

    def __init__(self, v4: Reply | TrackerError, v6: Reply | TrackerError) -> None:
        self.answers = {AF_INET: v4, AF_INET6: v6}
        self.asked: list[tuple[AddressFamily, Announce]] = []

    async def fetch(self, url: str, seconds: float, family: AddressFamily) -> bytes:
        return (
            await self.announce("", Announce.from_query(url.partition("?")[2].encode()), 0, family)
        ).encode()

    async def announce(
        self, url: str, announce: Announce, seconds: float, family: AddressFamily
    ) -> Reply:
        self.asked.append((family, announce))
        answer = self.answers[family]
        if isinstance(answer, TrackerError):
            raise answer
        return answer

    def live(self, url: str, **options: Any) -> tuple[list[Address], Trackers]:
        found: list[Address] = []

        async def main() -> Trackers:
            trackers = Trackers(
                [[url]], HASH, ME, lambda: 6881, fetch=self.fetch, dice=Random(1),
                udp=self, families=(AF_INET, AF_INET6), **options,  # type: ignore[arg-type]
                clock=asyncio.get_running_loop().time,
            )  # fmt: skip
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(trackers.run(lambda: Progress(0, 0, 1), found.append))
                await asyncio.sleep(1)
                await trackers.leave()
            return trackers

        return found, run(main())


def test_peers_do_not_wait_for_the_slower_family() -> None:
    async def main() -> None:
        found: list[tuple[float, Address]] = []
        loop = asyncio.get_running_loop()

        async def fetch(url: str, seconds: float, family: AddressFamily) -> bytes:
            if family == AF_INET6:
                await asyncio.sleep(20)
            return BOTH[0].encode()

        trackers = Trackers(
            [[GOOD]], HASH, ME, lambda: 6881, fetch=fetch, dice=Random(1),
            families=(AF_INET, AF_INET6), clock=loop.time,
        )  # fmt: skip
        async with asyncio.TaskGroup() as tasks:
            progress = Progress(0, 0, 1)
            tasks.create_task(
                trackers.run(lambda: progress, lambda peer: found.append((loop.time(), peer)))
            )
            await asyncio.sleep(10)
            assert found == [(0, PEER)]
            assert trackers.status()[0].state == "working"
            await trackers.leave()

    run(main())


V6_PEER = Address("2001:db8::1", 5)
BOTH = (
    Reply(900, peers=compact(PEER), complete=1),
    Reply(900, peers6=compact(V6_PEER), complete=2),
)


@pytest.mark.parametrize("url", [GOOD, "https://t/announce", "udp://t:1/announce"])
def test_both_families_are_told_with_one_key(url: str) -> None:
    tracker = Dual(*BOTH)
    found, trackers = tracker.live(url)
    assert found == [PEER, V6_PEER]
    assert trackers.status()[0].seeds == 2
    assert [family for family, _ in tracker.asked] == [AF_INET, AF_INET6] * 2
    assert [announce.event for _, announce in tracker.asked] == ["started"] * 2 + ["stopped"] * 2
    assert len({announce.key for _, announce in tracker.asked}) == 1


@pytest.mark.parametrize("url", [GOOD, "udp://t:1/announce"])
def test_a_family_that_fails_is_no_failure(url: str) -> None:
    found, trackers = Dual(BOTH[0], TrackerError("no route")).live(url)
    assert found == [PEER]
    assert trackers.status()[0].state == "working"
    found, trackers = Dual(TrackerError("refused"), TrackerError("no route")).live(url)
    assert found == []
    assert trackers.status()[0].state == "failed"


def test_what_trackers_say_our_addresses_are_is_handed_on() -> None:
    mine, mine6 = Address("9.8.7.6", 6881), Address("2001:db8::9", 6881)
    v4 = Reply(900, peers=compact(mine) + compact(PEER), external_ip=b"\x09\x08\x07\x06")
    v6 = Reply(900, peers6=compact(mine6), external_ip=compact(mine6)[:16])
    seen: list[tuple[Address, bytes]] = []
    found, _ = Dual(v4, v6).live(GOOD, seen_as=lambda voter, ours: seen.append((voter, ours)))
    voter = Address(HASH.hex(), 0)
    assert seen[:2] == [(voter, v4.external_ip), (voter, v6.external_ip)]
    assert found == [PEER]
