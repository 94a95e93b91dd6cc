"""Who asks too much is read more slowly; who takes up too much room is refused; nothing grows."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.wire import napster
from p2pswarm.wire.fields import as_bytes
from tests.support.napster import MD5, SONG, Caller, Town, frame
from tracker.napster.limits import Allowance, Caps, Guests

SHA1 = "5" * 40


def count(caller: Caller, number: int) -> int:
    return sum(heard == number for heard, _ in caller.heard())


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 30)), max_size=50))
def test_an_allowance_gives_its_rate_and_its_burst(spending: list[tuple[float, float]]) -> None:
    allowance, now, spent = Allowance(2.0, 10.0, 0.0), 0.0, 0.0
    for pause, cost in spending:
        now += pause
        if allowance.level(now) >= 0:
            wait = allowance.spend(cost, now)
            spent += cost
            assert wait >= 0
            assert spent - cost <= 10.0 + 2.0 * now + 1e-6
            assert allowance.level(now) == pytest.approx(-2.0 * wait) or wait == 0


def test_an_allowance_is_full_in_the_end() -> None:
    allowance = Allowance(2.0, 10.0, 0.0)
    assert allowance.full(0.0)
    assert allowance.spend(14, 0.0) == 2.0
    assert not allowance.full(6.9)
    assert allowance.full(7.0)


@pytest.mark.parametrize(
    ("message", "answer", "burst", "rate"),
    [
        (frame(200, 'FILENAME CONTAINS "x"'), 202, 20, 5),
        (frame(215, f"{MD5} 7"), 217, 20, 5),
        (frame(603, "nobody"), 404, 500, 20),
        (frame(12345), 404, 500, 20),
        (frame(100, f'"{SONG}" {MD5} 1 0 0 0'), 404, 5000, 100),
    ],
    ids=["search", "hash", "whois", "unknown", "share"],
)
def test_who_asks_too_much_is_read_more_slowly(
    message: bytes, answer: int, burst: int, rate: int
) -> None:
    town = Town()
    eager, calm = town.sharer("eager"), town.member("calm", "10.0.0.3")
    eager.push(message * (burst + 20 * rate))
    heard = count(eager, answer)
    assert burst <= heard <= burst + 1
    assert not eager.wire.reading
    assert calm.ask(603, "eager")[0][0] == 604
    for _ in range(10):
        town.run(1)
        now = count(eager, answer)
        assert rate - 1 <= now <= rate + 1
        heard += now
    assert not eager.wire.reading
    town.run(15)
    assert heard + count(eager, answer) == burst + 20 * rate
    assert eager.wire.reading


def test_a_directory_costs_as_much_as_its_files() -> None:
    town = Town(caps=Caps(shares=200))
    eager = town.member("eager")
    files = " ".join(f'"{n}" {MD5} 1 0 0 0' for n in range(100))
    eager.push(frame(870, f'"a" {files}') + frame(870, f'"b" {files}') + frame(870, f'"c" {files}'))
    eager.say(214)
    assert count(eager, 404) == 1
    assert not eager.wire.reading
    town.run(1)
    assert count(eager, 214) == 1


def test_who_does_not_read_is_not_read() -> None:
    town = Town(caps=Caps(queries=1e9))
    town.sharer("alice", *[f"moon {n}.mp3" for n in range(100)])
    deaf = town.member("deaf")
    deaf.wire.room = 1000
    deaf.push(frame(200, 'FILENAME CONTAINS "moon"') * 1000)
    assert not deaf.wire.reading
    assert deaf.stream.unsent < (64 << 10) + 20_000
    town.run(30)
    assert deaf.stream.unsent < (64 << 10) + 20_000
    assert not deaf.over
    deaf.wire.take(1 << 30)
    deaf.flow()
    assert deaf.waiting == 0
    assert count(deaf, 202) == 1000


def test_who_never_reads_is_hung_up_on() -> None:
    town = Town(caps=Caps(queries=1e9))
    town.sharer("alice", *[f"moon {n}.mp3" for n in range(100)])
    deaf = town.member("deaf")
    deaf.wire.room = 1000
    deaf.push(frame(200, 'FILENAME CONTAINS "moon"') * 1000)
    town.run(100)
    assert deaf.over
    assert "takes nothing" in str(deaf.stream._reason)


def test_a_long_list_is_not_sent_faster_than_it_is_taken() -> None:
    town = Town()
    town.sharer("alice", *["x" * 200 + f"{n}" for n in range(3000)])
    bob = town.member("bob")
    bob.wire.room = 1000
    bob.say(211, "alice")
    town.run(5)
    assert 64 << 10 <= bob.stream.unsent < (64 << 10) + 40_000
    for _ in range(200):
        bob.wire.take(10_000)
        town.run(1)
    assert count(bob, 212) == 3000


def test_others_cannot_fill_the_buffer_of_who_does_not_read() -> None:
    town = Town()
    deaf = town.member("deaf")
    deaf.wire.room = 0
    chatters = [town.member(f"chatter{n}", f"10.0.1.{n}") for n in range(10)]
    for _ in range(60):
        for chatter in chatters:
            for _ in range(20):
                chatter.say(205, "deaf " + "x" * 390)
        town.run(1)
    assert deaf.stream.unsent < (64 << 10) + 500
    assert all(not chatter.over for chatter in chatters)


def test_an_address_has_so_many_connections() -> None:
    town = Town(caps=Caps(clients_per_address=3))
    first = [town.call() for _ in range(3)]
    fourth, other = town.call(), town.call("10.0.0.3")
    assert fourth.heard() == [(0, "too many connections from your address")]
    fourth.say(2, 'foo pw 0 "nap" 0')
    assert fourth.heard() == []
    assert other.heard() == []
    first[0].hang_up()
    town.run(2)
    assert fourth.over
    assert town.call().heard() == []


def test_the_server_has_so_many_connections() -> None:
    town = Town(caps=Caps(clients=3))
    callers = [town.call(f"10.0.0.{n}") for n in range(4)]
    assert [caller.heard() for caller in callers] == [[], [], [], [(0, "this server is full")]]


def test_who_waits_at_the_door_for_longest_makes_room() -> None:
    town = Town(caps=Caps(clients=2000))
    callers = [town.call(f"10.0.{n // 250}.{n % 250}") for n in range(1100)]
    assert [caller.over for caller in callers] == [True] * 100 + [False] * 1000


def test_an_address_logs_in_so_often() -> None:
    town = Town()
    for n in range(60):
        town.member(f"n{n}").hang_up()
    late = town.call()
    assert late.ask(2, 'late pw 0 "nap" 0') == [(0, "reconnecting too fast")]
    assert town.call("10.0.0.3").ask(2, 'other pw 0 "nap" 0')[0][0] == 3
    town.run(5)
    assert town.call().ask(2, 'late pw 0 "nap" 0')[0][0] == 3


def test_addresses_are_forgotten() -> None:
    guests = Guests(Caps())
    for n in range(1000):
        guests.enter(f"10.0.{n // 250}.{n % 250}", 0.0)
        guests.may_log_in(f"10.0.{n // 250}.{n % 250}", 0.0)
        guests.leave(f"10.0.{n // 250}.{n % 250}", 0.0)
    assert len(guests) == 1000
    guests.tidy(1.0)
    assert len(guests) == 1000
    guests.tidy(3.0)
    assert len(guests) == 0
    assert guests.connections == 0


def test_an_address_that_only_came_and_went_is_forgotten_at_once() -> None:
    guests = Guests(Caps())
    guests.enter("10.0.0.2", 0.0)
    guests.leave("10.0.0.2", 0.0)
    assert len(guests) == 0


words = st.sampled_from(
    f'alice bob carol server {MD5} 0 7 6699 {"9" * 20} {SHA1} moon audio - sha1 btih \udcff \u2028 " '
    "FILENAME CONTAINS EXCLUDES MAX_RESULTS BITRATE TYPE".split(" ")
) | st.sampled_from([SONG, f'"{SONG}"', '"a b"', '"AT LEAST"'])
lines = st.lists(words, max_size=9).map(" ".join)
known = st.sampled_from(
    sorted(
        kind.number
        for name in napster.__all__
        if isinstance(kind := getattr(napster, name), type) and hasattr(kind, "encode")
        if hasattr(kind, "number")
    )
)
logins = st.sampled_from(["alice", "bob", "carol"]).flatmap(
    lambda nick: st.sampled_from(
        [f'{nick} pw 6699 "nap" 3', f'{nick} pw 0 "p2pswarm/1" 9', f"{nick} x 1"]
    ).map(lambda line: frame(2, line))
)
shares = st.sampled_from(["", "1", "2"]).map(
    lambda n: frame(100, f'"{SONG}{n}" {MD5} 443332 128 44100 60')
)
saids = st.one_of(
    st.builds(frame, known, lines.map(as_bytes)),
    st.builds(frame, st.integers(0, 0xFFFF), st.binary(max_size=60)),
    logins,
    shares,
    st.binary(max_size=20),
)
acts = st.one_of(
    st.tuples(st.integers(0, 3), saids),
    st.tuples(st.integers(0, 3), st.just("call") | st.just("hang up") | st.just("deaf")),
    st.tuples(st.integers(0, 40), st.just("wait")),
)


@given(st.lists(acts, max_size=40))
@settings(deadline=None, max_examples=200)
def test_no_session_breaks_the_server_or_leaves_anything_behind(story: list[object]) -> None:
    town = Town(caps=Caps(shares=3, clients_per_address=4))
    callers: list[Caller] = [town.call() for _ in range(4)]
    for n, nick in enumerate(("alice", "bob")):
        callers[n].say(2, f'{nick} pw 6699 "p2pswarm/1" 3')
    for who, what in story:  # type: ignore[misc]
        act(town, callers, who, what)
        town.server.check()
        town.server.index.check()  # type: ignore[attr-defined]
    for caller in callers:
        if not caller.over:
            caller.hang_up()
    town.server.check()
    assert len(town.server.people) == town.server.index.files == town.server.index.size == 0
    assert not town.server._downloads._requests
    town.run(60)
    assert not town.server.people._watchers


def act(town: Town, callers: list[Caller], who: int, what: object) -> None:
    match what:
        case "wait":
            town.run(who)
        case "call":
            if callers[who].over:
                callers[who] = town.call()
        case "hang up":
            if not callers[who].over:
                callers[who].hang_up()
        case "deaf":
            callers[who].wire.room = 10
        case bytes():
            callers[who].push(what)


def test_a_sessions_memory_is_bounded_by_what_comes_in_one_go() -> None:
    town = Town()
    eager = town.member("eager")
    for _ in range(100):
        eager.push(frame(750) * 8000)
    (session,) = town.server.lobby._sessions
    assert len(session._inbox) <= (32 << 10) // 4


def test_every_duty_has_an_answer_for_a_message_of_its_kind() -> None:
    duties = Town().server._duties
    assert all(isinstance(answer, Callable) for _, answer in duties.values())  # type: ignore[arg-type]
