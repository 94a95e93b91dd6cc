"""The server as foreign programs meet it: numbers and lines, in memory, in the test's own time."""

from pathlib import Path

import pytest

from tests.support.napster import MD5, SONG, Caller, Town, frame
from tracker.napster.limits import Caps
from tracker.napster.people import is_nick

IP = "33554442"  # 10.0.0.2 in little endian
OTHER_IP = "50331658"  # 10.0.0.3
FILM = "D:\\films\\Blue Moon.avi"
SHA1, BTIH = "5" * 40, "b" * 40


@pytest.fixture
def town() -> Town:
    return Town()


def numbers(heard: list[tuple[int, str]]) -> list[int]:
    return [number for number, _ in heard]


# Login


def test_a_login_is_answered_with_ack_message_and_numbers(town: Town) -> None:
    town.server._profile.motd_lines = ["Hello", "and welcome"]
    caller = town.call()
    heard = caller.ask(2, 'foo badpass 6699 "nap v0.8" 3')
    assert heard == [(3, "anon@p2pswarm"), (621, "Hello"), (621, "and welcome"), (214, "1 0 0")]
    assert caller.ask(621) == [(621, "Hello"), (621, "and welcome")]


def test_message_6_is_a_login_too(town: Town) -> None:
    assert town.call().ask(6, 'foo pw 6699 "nap v0.8" 3 email@here.com')[0][0] == 3


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ('fo"o pw 6699 "nap" 3', (0, "invalid message 2: 'fo\"o' is not one word")),
        ('#foo pw 6699 "nap" 3', (10, "Invalid nick: #foo")),
        ('server pw 6699 "nap" 3', (10, "Invalid nick: server")),
        (f'{"x" * 33} pw 6699 "nap" 3', (10, f"Invalid nick: {'x' * 33}")),
        ('foo pw 6699 "nap" 11', (0, "11: invalid speed")),
        ('foo pw 65536 "nap" 3', (0, "65536: invalid port")),
        ("foo", (0, "invalid message 2: password is missing")),
    ],
)
def test_a_bad_login_is_told_why_with_message_0_and_hung_up(
    town: Town, line: str, answer: tuple[int, str]
) -> None:
    caller = town.call()
    assert caller.ask(2, line) == [answer]
    caller.say(2, 'good pw 6699 "nap" 3')
    assert caller.heard() == []
    assert not caller.over
    town.run(2)
    assert caller.over
    assert len(town.server.people) == 0


@pytest.mark.parametrize("number", [100, 200, 203, 214, 404, 12345])
def test_who_is_not_logged_in_may_only_log_in(town: Town, number: int) -> None:
    caller = town.call()
    assert numbers(caller.ask(number)) == [0]
    town.run(2)
    assert caller.over


def test_what_old_programs_say_first_is_let_pass(town: Town) -> None:
    caller = town.call()
    assert caller.ask(4, "2.0") == [(4, "")]
    assert caller.ask(14, "NAME: kev ADDRESS: CITY:") == []
    assert caller.ask(11, "foo pw") == []
    assert caller.ask(300, "6699") == []
    assert caller.ask(920, "1") == []
    assert caller.ask(2, 'foo pw 6699 "nap v0.8" 3')[0][0] == 3


def test_nicks_can_be_asked_for(town: Town) -> None:
    town.member("Taken")
    caller = town.call()
    assert caller.ask(7, "free") == [(8, "")]
    assert caller.ask(7, "taken") == [(9, "")]
    assert caller.ask(7, "a,b") == [(10, "")]
    for _ in range(17):
        caller.say(7, "free")
    assert caller.ask(7, "free") == [(0, "too many questions")]


@pytest.mark.parametrize("nick", ["a", "x" * 32, "[foo]", "p2pswarm-1", "a_b|c"])
def test_nicks(nick: str) -> None:
    assert is_nick(nick)


@pytest.mark.parametrize(
    "nick", ["", "x" * 33, "#a", "-a", "a b", "a%b", "a.b", 'a"', "caf\u00e9", "OperServ", "a\\b"]
)
def test_no_nicks(nick: str) -> None:
    assert not is_nick(nick)


def test_a_nick_is_in_use_in_upper_and_lower_case(town: Town) -> None:
    first = town.member("Foo")
    assert town.call("10.0.0.3").ask(2, 'fOO other 0 "nap" 3') == [(0, "Foo is already active")]
    assert town.call("10.0.0.3").ask(2, 'foo secret 0 "nap" 3') == [(0, "Foo is already active")]
    assert town.call("10.0.0.2").ask(2, 'foo other 0 "nap" 3') == [(0, "Foo is already active")]
    assert not first.over


def test_who_comes_back_takes_the_place_of_the_old_connection(town: Town) -> None:
    ghost = town.sharer("foo")
    back = town.call()
    assert back.ask(2, 'foo secret 6699 "nap v0.8" 8')[0][0] == 3
    assert ghost.over
    assert ghost.heard()[0][0] == 404
    assert town.server.index.files == 0
    town.server.check()


def test_a_second_login_is_refused_and_nothing_happens(town: Town) -> None:
    foo = town.member("foo")
    assert foo.ask(2, 'bar pw 0 "nap" 3') == [(404, "Unknown command code 2")]


def test_only_programs_that_name_us_are_greeted(town: Town) -> None:
    caller = town.call()
    assert caller.ask(2, 'a pw 0 "p2pswarm/0.1.0" 0')[1] == (0x7000, "p2pswarm/1.2.3 1")
    for client in ("nap v0.8", "xp2pswarm/1", "p2pswarm"):
        heard = town.call().ask(2, f'{client[:3]}1 pw 0 "{client}" 0')
        assert 0x7000 not in numbers(heard)


def test_ipv6_has_no_place_in_this_protocol(town: Town) -> None:
    caller = town.call("2001:db8::1")
    assert caller.heard() == [(0, "the Napster protocol knows IPv4 addresses only")]


# Search


def hit(nick: str = "alice", name: str = SONG, ip: str = OTHER_IP) -> tuple[int, str]:
    return 201, f'"{name}" {MD5} 443332 128 44100 60 {nick} {ip} 8'


@pytest.fixture
def alice(town: Town) -> Caller:
    return town.sharer("alice", SONG, FILM, host="10.0.0.3")


@pytest.fixture
def bob(town: Town, alice: Caller) -> Caller:
    return town.member("bob")


@pytest.mark.parametrize(
    ("request_", "found"),
    [
        ('FILENAME CONTAINS "blue moon" MAX_RESULTS 100', [SONG, FILM]),
        ('FILENAME CONTAINS "BLUE" MAX_RESULTS 5 FILENAME CONTAINS "generic"', [SONG]),
        ('FILENAME CONTAINS "blue moon -generic"', [FILM]),
        ('FILENAME CONTAINS "moon" FILENAME EXCLUDES "avi"', [SONG]),
        ('FILENAME CONTAINS "moon" TYPE audio', [SONG]),
        ('FILENAME CONTAINS "moon" TYPE mp3 LOCAL_ONLY WMA-FILE', [SONG]),
        ('FILENAME CONTAINS "moon" TYPE video', [FILM]),
        ('FILENAME CONTAINS "moon" TYPE any', [SONG, FILM]),
        ('FILENAME CONTAINS "moon" BITRATE "AT LEAST" "128"', [SONG, FILM]),
        ('FILENAME CONTAINS "moon" BITRATE "AT LEAST" "129"', []),
        ('FILENAME CONTAINS "moon" BITRATE "EQUAL TO" "128" FREQ "AT BEST" "44100"', [SONG, FILM]),
        ('FILENAME CONTAINS "moon" LINESPEED "EQUAL TO" 8', [SONG, FILM]),
        ('FILENAME CONTAINS "moon" LINESPEED "AT BEST" 7', []),
        ('FILENAME CONTAINS "moon" SIZE "AT LEAST" 443332 DURATION "AT LEAST" 61', []),
        ('FILENAME CONTAINS "green"', []),
    ],
)
def test_searches(bob: Caller, request_: str, found: list[str]) -> None:
    heard = bob.ask(200, request_)
    assert sorted(heard[:-1]) == sorted(hit(name=name) for name in found)
    assert heard[-1] == (202, "")


def test_a_search_gives_as_many_as_asked_for_and_at_most_a_hundred(town: Town) -> None:
    town.sharer("alice", *[f"moon {n}.mp3" for n in range(150)], host="10.0.0.3")
    bob = town.member("bob")
    for most, given in (("", 100), ("MAX_RESULTS 7", 7), ("MAX_RESULTS 0", 100)):
        assert len(bob.ask(200, f'FILENAME CONTAINS "moon" {most}')) == given + 1
    assert len(bob.ask(200, 'MAX_RESULTS 999 FILENAME CONTAINS "moon"')) == 101


@pytest.mark.parametrize(
    "request_",
    [
        'FILENAME CONTAINS "!!!"',
        "MAX_RESULTS 100",
        "",
        'FILENAME LIKES "moon"',
        'FILENAME CONTAINS "moon" TYPE nonsense',
        'FILENAME CONTAINS "moon" BITRATE "ABOUT" "7"',
        'FILENAME CONTAINS "a "quoted" string" MAX_RESULTS 100',
    ],
)
def test_a_bad_search_is_told_so_and_ends(bob: Caller, request_: str) -> None:
    assert numbers(bob.ask(200, request_)) == [404, 202]


def test_nobody_finds_their_own_files(alice: Caller) -> None:
    assert alice.ask(200, 'FILENAME CONTAINS "moon"') == [(202, "")]


def test_names_that_are_no_utf8_come_back_as_they_were(town: Town, bob: Caller) -> None:
    other = town.member("other", "10.0.0.3")
    other.say(100, b'"caf\xe9.mp3" ' + MD5.encode() + b" 1 0 0 0")
    bob.heard()
    bob.say(200, 'FILENAME CONTAINS "caf\u00e9"')
    assert b'"caf\xe9.mp3"' in bob.wire.taken
    bob.heard()
    bob.say(200, b'FILENAME CONTAINS "CAF\xc9"')
    assert bob.heard()[0][0] == 201


def test_a_hash_finds_everybody_who_has_the_file(town: Town, bob: Caller) -> None:
    town.sharer("carol", "other name.mp3", host="10.0.0.4", port=0)
    heard = bob.ask(215, f"{MD5.upper()} 443332")
    assert sorted(heard) == [
        (216, f'alice {OTHER_IP} 6699 "{SONG}" {MD5} 443332 8'),
        (216, f'alice {OTHER_IP} 6699 "{FILM}" {MD5} 443332 8'),
        (216, f'carol 67108874 0 "other name.mp3" {MD5} 443332 8'),
        (217, ""),
    ]
    assert heard[-1] == (217, "")
    assert bob.ask(215, f"{MD5} 1") == [(217, "")]
    assert bob.ask(215, f"{'0' * 32} 443332") == [(217, "")]
    assert numbers(bob.ask(215, f"{MD5} 0")) == [404, 217]
    assert numbers(bob.ask(215, MD5)) == [404, 217]


def test_browse(bob: Caller) -> None:
    heard = bob.ask(211, "ALICE")
    assert sorted(heard[:-1]) == sorted(
        (212, f'alice "{name}" {MD5} 443332 128 44100 60') for name in (SONG, FILM)
    )
    assert heard[-1] == (213, "alice")
    assert numbers(bob.ask(211, "alice 1")) == [212, 213]


def test_browsing_who_is_not_here_ends_at_once(bob: Caller) -> None:
    assert bob.ask(211, "nobody") == [(210, "nobody"), (213, "nobody")]


def test_a_long_list_comes_whole_and_before_other_answers(town: Town) -> None:
    names = [f"song {n}.mp3" for n in range(1234)]
    town.sharer("alice", *names)
    bob = town.member("bob")
    bob.heard()
    bob.push(frame(211, "alice") + frame(214))
    town.run(1)
    heard = bob.heard()
    assert numbers(heard) == [212] * 1234 + [213, 214]
    assert len({line for number, line in heard if number == 212}) == 1234


# Sharing


def test_files_vanish_when_they_are_taken_back(alice: Caller, bob: Caller) -> None:
    assert alice.ask(102, SONG) == []
    assert bob.ask(200, 'FILENAME CONTAINS "moon"') == [hit(name=FILM), (202, "")]
    assert alice.ask(102, f'"{FILM}"') == [(404, "Not sharing that file")]  # as OpenNap has it
    assert alice.ask(102, FILM) == []
    assert bob.ask(200, 'FILENAME CONTAINS "moon"') == [(202, "")]
    assert alice.ask(102, SONG) == [(404, "Not sharing that file")]


def test_all_files_can_be_taken_back(alice: Caller, bob: Caller) -> None:
    assert alice.ask(110) == [(110, "2")]
    assert alice.ask(110) == []
    assert bob.ask(214) == [(214, "2 0 0")]


@pytest.mark.parametrize("ending", ["hang up", "drop"])
def test_files_vanish_with_their_owner(town: Town, alice: Caller, bob: Caller, ending: str) -> None:
    if ending == "hang up":
        alice.hang_up()
    else:
        alice.push(b"\xff\xff\0\0")
    assert alice.over
    assert bob.ask(200, 'FILENAME CONTAINS "moon"') == [(202, "")]
    assert bob.ask(215, f"{MD5} 443332") == [(217, "")]
    assert town.server.index.files == 0
    assert town.server._guests.room("10.0.0.3") == Caps().shares_per_address


def test_many_files_of_a_directory_in_one_message(town: Town) -> None:
    alice = town.member("alice", "10.0.0.3")
    files = " ".join(f'"song {n}.mp3" {MD5} {n} 128 44100 60' for n in range(1, 150))
    assert len(files) > 2048
    assert alice.ask(870, f'"C:\\music" {files}') == []
    assert alice.ask(214) == [(214, "1 149 0")]
    bob = town.member("bob")
    assert bob.ask(200, 'FILENAME CONTAINS "song 77"')[0][1].startswith('"C:\\music\\song 77.mp3"')


def test_other_kinds_of_files_have_a_message_of_their_own(town: Town) -> None:
    alice = town.member("alice", "10.0.0.3")
    assert alice.ask(10300, f'"moon.iso" 700 {MD5} application') == []
    bob = town.member("bob")
    heard = bob.ask(200, 'FILENAME CONTAINS "moon" TYPE application')
    assert heard == [(201, f'"moon.iso" {MD5} 700 0 0 0 alice {OTHER_IP} 8'), (202, "")]


@pytest.mark.parametrize(
    ("number", "line", "answer"),
    [
        (100, f'"{SONG}" {MD5} 443332 128 44100 60', "duplicate file"),
        (100, f'"{"x" * 1025}" {MD5} 1 0 0 0', "filename too long"),
        (100, f'"" {MD5} 1 0 0 0', "a file needs a name"),
        (100, f'"a" {MD5} big 0 0 0', "invalid message 100: 'big' is not a number"),
        (100, "what", "invalid message 100: md5 is missing"),
    ],
)
def test_a_bad_file_is_told_so(alice: Caller, number: int, line: str, answer: str) -> None:
    assert alice.ask(number, line) == [(404, answer)]
    assert alice.ask(214) == [(214, "1 2 0")]


def test_nobody_fills_the_index_alone() -> None:
    town = Town(caps=Caps(shares=3))
    alice = town.sharer("alice", "1", "2", "3", host="10.0.0.3")
    assert alice.ask(100, f'"4" {MD5} 1 0 0 0') == [(404, "You may only share 3 files")]
    assert alice.ask(100, f'"5" {MD5} 1 0 0 0') == []
    assert alice.ask(102, "1") == []
    assert alice.ask(100, f'"4" {MD5} 1 0 0 0') == []
    for n in range(3):
        town.sharer(f"alice{n}", "1", "2", "3", host="10.0.0.3")
    other = town.member("alice3", "10.0.0.3")
    why = "You may only share 12 files from one address"
    assert other.ask(870, f'"d" "1" {MD5} 1 0 0 0 "2" {MD5} 1 0 0 0') == [(404, why)]
    assert other.ask(214) == [(214, "5 12 0")]
    town.sharer("bob", "1", "2", "3", host="10.0.0.4")
    alice.hang_up()
    town.run(1)
    assert other.ask(870, f'"d" "1" {MD5} 1 0 0 0 "2" {MD5} 1 0 0 0') == []
    assert other.ask(214) == [(214, "5 14 0")]


def test_the_index_has_an_end() -> None:
    town = Town(caps=Caps(files=2))
    town.sharer("alice", "1", "2")
    bob = town.member("bob")
    assert bob.ask(100, f'"3" {MD5} 1 0 0 0') == [(404, "this server has no room for more files")]


# Downloads


def test_a_download_is_arranged_in_four_messages(alice: Caller, bob: Caller) -> None:
    assert bob.ask(203, f'alice "{SONG}"') == []
    assert alice.heard() == [(607, f'bob "{SONG}"')]
    assert alice.ask(608, f'bob "{SONG}"') == []
    assert bob.heard() == [(204, f'alice {OTHER_IP} 6699 "{SONG}" {MD5} 8')]


def test_a_push_is_arranged_when_the_uploader_is_firewalled(town: Town) -> None:
    alice = town.sharer("alice", host="10.0.0.3", port=0)
    bob = town.member("bob")
    zeros = "0" * 32
    assert bob.ask(203, f'alice "{SONG}"') == [(204, f'alice {OTHER_IP} 0 "{SONG}" {zeros} 8')]
    assert alice.heard() == []
    assert bob.ask(500, f'alice "{SONG}"') == []
    assert alice.heard() == [(607, f'bob "{SONG}"')]
    assert alice.ask(608, f'bob "{SONG}"') == [(501, f'bob {IP} 6699 "{SONG}" {MD5} 8')]
    assert bob.heard() == []
    town.run(5)
    assert alice.heard() == []


def test_a_push_is_arranged_with_a_program_that_waits_for_501(town: Town) -> None:
    alice = town.sharer("alice", host="10.0.0.3", port=0)
    bob = town.member("bob")
    bob.say(500, f'alice "{SONG}"')
    assert alice.heard() == [(607, f'bob "{SONG}"')]
    town.run(1)
    assert alice.heard() == [(501, f'bob {IP} 6699 "{SONG}" {MD5} 8')]
    assert alice.ask(608, f'bob "{SONG}"') == []  # late, and not told twice
    town.run(5)
    assert alice.heard() == []


@pytest.mark.parametrize(
    ("number", "line"), [(609, 'bob "{}"'), (619, 'bob "{}" 3')], ids=["refused", "queued"]
)
def test_who_says_no_is_not_told_to_connect(town: Town, number: int, line: str) -> None:
    alice = town.sharer("alice", host="10.0.0.3", port=0)
    bob = town.member("bob")
    bob.ask(500, f'alice "{SONG}"')
    alice.say(number, line.format(SONG))
    town.run(5)
    assert 501 not in numbers(alice.heard())
    told = {609: (609, f'alice "{SONG}"'), 619: (620, f'alice "{SONG}" 443332 3')}[number]
    assert bob.heard() == [told]


def test_between_two_firewalls_nothing_goes(town: Town) -> None:
    alice = town.sharer("alice", host="10.0.0.3", port=0)
    bob = town.member("bob", port=0)
    heard = bob.ask(500, f'alice "{SONG}"')
    assert numbers(heard) == [404, 206]
    assert "firewalled" in heard[0][1]
    assert heard[1] == (206, f'alice "{SONG}"')
    assert alice.heard() == []


def test_a_port_may_be_changed(alice: Caller, bob: Caller) -> None:
    assert alice.ask(703, "0") == []
    assert " 0 " in bob.ask(203, f'alice "{SONG}"')[0][1]
    assert alice.ask(703, "7000") == []
    assert numbers(bob.ask(500, f'alice "{SONG}"')) == [404]
    assert numbers(alice.ask(703, "70000")) == [404]


@pytest.mark.parametrize("line", [f'nobody "{SONG}"', 'alice "other"', f'bob "{SONG}"'])
def test_what_is_not_there_cannot_be_downloaded(alice: Caller, bob: Caller, line: str) -> None:
    assert bob.ask(203, line) == [(206, line)]
    assert alice.heard() == []


def test_nobody_learns_an_address_that_did_not_ask(town: Town, alice: Caller, bob: Caller) -> None:
    assert alice.ask(608, f'bob "{SONG}"') == [(404, "bob did not ask for that file")]
    alice.say(703, "0")
    assert alice.ask(608, f'bob "{SONG}"') == [(404, "bob did not ask for that file")]
    assert alice.ask(608, f'nobody "{SONG}"') == [(404, "User is not currently online.")]
    assert alice.ask(609, f'bob "{SONG}"') == []
    assert bob.heard() == []
    alice.say(703, "6699")
    bob.say(203, f'alice "{SONG}"')
    alice.heard()
    town.run(601)
    assert alice.ask(608, f'bob "{SONG}"') == [(404, "bob did not ask for that file")]


def test_answers_to_who_has_gone(town: Town, alice: Caller, bob: Caller) -> None:
    gone = [(404, "User is not currently online.")]
    for number, rest in ((608, f' "{SONG}"'), (619, f' "{SONG}" 1'), (641, "")):
        assert alice.ask(number, f"gone{rest}") == gone
    assert alice.ask(609, f'gone "{SONG}"') == []
    bob.say(203, f'alice "{SONG}"')
    bob.hang_up()
    assert alice.heard() == [(607, f'bob "{SONG}"')]
    assert alice.ask(608, f'bob "{SONG}"') == gone


def test_a_push_whose_downloader_closed_the_port_or_left(town: Town) -> None:
    alice = town.sharer("alice", host="10.0.0.3", port=0)
    bob = town.member("bob")
    bob.say(500, f'alice "{SONG}"')
    bob.say(703, "0")
    alice.heard()
    assert alice.ask(608, f'bob "{SONG}"') == [(404, "bob cannot be connected to any more")]
    bob.say(703, "6699")
    bob.say(500, f'alice "{SONG}"')
    bob.hang_up()
    alice.heard()
    town.run(3)
    assert alice.heard() == []


def test_a_file_that_was_taken_back_before_the_answer(
    town: Town, alice: Caller, bob: Caller
) -> None:
    bob.say(203, f'alice "{SONG}"')
    alice.say(102, SONG)
    alice.heard()
    assert alice.ask(608, f'bob "{SONG}"') == [(404, "Not sharing that file")]
    assert bob.ask(203, f'alice "{SONG}"') == [(206, f'alice "{SONG}"')]
    alice.say(703, "0")
    assert bob.ask(500, f'alice "{SONG}"') == [(206, f'alice "{SONG}"')]


def test_requests_are_remembered_up_to_a_number(town: Town) -> None:
    names = [f"{n}.mp3" for n in range(1010)]
    alice = town.sharer("alice", *names, host="10.0.0.3")
    bob = town.member("bob")
    for name in names:
        bob.say(203, f'alice "{name}"')
        town.time.run(0.1)
        bob.flow()
    town.run(60)
    alice.heard()
    assert alice.ask(608, 'bob "0.mp3"') == [(404, "bob did not ask for that file")]
    assert alice.ask(608, 'bob "1009.mp3"') == []


def test_a_request_that_waits_in_a_queue_is_answered_later(
    town: Town, alice: Caller, bob: Caller
) -> None:
    bob.say(203, f'alice "{SONG}"')
    alice.say(619, f'bob "{SONG}" 1')
    town.run(60)
    alice.say(608, f'bob "{SONG}"')
    assert numbers(bob.heard()) == [620, 204]
    assert alice.ask(619, 'bob "not mine" 1') == [(404, "Not sharing that file")]


def test_a_dead_port_is_reported(alice: Caller, bob: Caller) -> None:
    assert bob.ask(626, "alice") == []
    assert alice.heard() == [(626, "bob")]
    assert numbers(bob.ask(626, "nobody")) == [404]


def test_transfers_are_counted(alice: Caller, bob: Caller) -> None:
    for number in (218, 218, 219, 220, 221, 221):
        assert bob.ask(number) == []
    assert alice.ask(603, "bob")[0][1].endswith('"Active" 0 1 0 8 "nap v0.8"')


def test_direct_browse(alice: Caller, bob: Caller) -> None:
    assert bob.ask(640, "alice") == []
    assert alice.heard() == [(640, "bob")]
    assert alice.ask(641, "bob") == []
    assert bob.heard() == [(641, f"alice {OTHER_IP} 6699")]
    assert alice.ask(640, "bob") == [(642, 'bob "bob is not sharing any files."')]
    assert numbers(bob.ask(640, "nobody")) == [404]


def test_direct_browse_of_who_is_firewalled(town: Town) -> None:
    alice = town.sharer("alice", host="10.0.0.3", port=0)
    bob = town.member("bob")
    assert bob.ask(640, "alice") == []
    assert alice.heard() == [(640, f"bob {IP} 6699")]
    bob.say(703, "0")
    assert bob.ask(640, "alice")[0][0] == 642


def test_nobody_offers_a_list_that_was_not_asked_for(alice: Caller, bob: Caller) -> None:
    assert alice.ask(641, "bob") == []
    assert bob.heard() == []


def test_a_torrent_of_ours_can_be_asked_for(town: Town) -> None:
    name = f"p2pswarm:btih:{BTIH}.torrent"
    foreign = town.sharer("foreign", host="10.0.0.3")
    ours = town.sharer("ours", host="10.0.0.3", client="p2pswarm/0.1.0")
    bob = town.member("bob")
    assert bob.ask(203, f'foreign "{name}"') == [(206, f'foreign "{name}"')]
    assert bob.ask(203, f'ours "{name}"') == []
    assert ours.heard() == [(607, f'bob "{name}"')]
    assert ours.ask(619, f'bob "{name}" 3') == []
    assert bob.heard() == [(620, f'ours "{name}" 0 3')]
    ours.say(608, f'bob "{name}"')
    assert bob.heard() == [(204, f'ours {OTHER_IP} 6699 "{name}" {"0" * 32} 8')]
    assert foreign.ask(619, f'bob "{name}" 3') == [(404, "Not sharing that file")]
    assert bob.heard() == []
    assert foreign.heard() == []


def test_others_reach_who_sits_on_the_servers_machine(town: Town) -> None:
    town.sharer("local", host="127.0.0.1")
    bob, neighbour = town.member("bob"), town.member("neighbour", "127.0.0.1")
    assert bob.ask(200, 'FILENAME CONTAINS "moon"')[0] == hit("local", ip="16777226")  # 10.0.0.1
    assert neighbour.ask(200, 'FILENAME CONTAINS "moon"')[0] == hit("local", ip="16777343")


# Talk


def test_private_messages(alice: Caller, bob: Caller) -> None:
    assert bob.ask(205, "Alice hello  there") == []
    assert alice.heard() == [(205, "bob hello  there")]
    assert bob.ask(205, "nobody hello") == [(404, "User is not currently online.")]
    bob.say(205, "alice " + "x" * 2000)
    assert alice.heard() == [(205, "bob " + "x" * 400)]


def test_hotlists(town: Town, bob: Caller) -> None:
    assert bob.ask(207, "carol") == [(301, "carol")]
    assert bob.ask(208, "ALICE") == [(301, "ALICE"), (209, "alice 8")]
    carol = town.member("Carol", "10.0.0.4")
    assert bob.heard() == [(209, "Carol 8")]
    carol.hang_up()
    assert bob.heard() == [(210, "Carol")]
    assert bob.ask(303, "carol") == []
    town.member("carol", "10.0.0.4").hang_up()
    assert bob.heard() == []
    assert bob.ask(207, "#no") == [(302, "#no")]
    for n in range(300):
        bob.say(207, f"n{n}")
    assert bob.heard()[-1] == (302, "n299")
    bob.hang_up()
    town.server.check()


def test_whois(town: Town, alice: Caller, bob: Caller) -> None:
    town.run(7)
    assert bob.ask(603, "ALICE") == [(604, 'alice "User" 7 " " "Active" 2 0 0 8 "nap v0.8"')]
    assert bob.ask(603, "nobody") == [(404, "user nobody is not a known user")]
    alice.hang_up()
    assert bob.ask(603, "alice") == [(605, f'alice "User" {int(town.date)}')]


def test_speeds(alice: Caller, bob: Caller) -> None:
    assert bob.ask(600, "alice") == [(601, "alice 8")]
    assert alice.ask(700, "3") == []
    assert bob.ask(600, "alice") == [(601, "alice 3")]
    assert bob.ask(200, 'FILENAME CONTAINS "moon" LINESPEED "EQUAL TO" 8') == [(202, "")]
    assert numbers(alice.ask(700, "11")) == [404]
    assert numbers(bob.ask(600, "nobody")) == [404]


def test_pings(alice: Caller, bob: Caller) -> None:
    assert bob.ask(751, "alice") == []
    assert alice.heard() == [(751, "bob")]
    assert alice.ask(752, "bob 17") == []
    assert bob.heard() == [(752, "alice 17")]
    assert bob.ask(751, "nobody") == [(404, "ping failed, nobody is not online")]
    assert bob.ask(750, "17") == [(750, "17")]


def test_who_is_ignored_is_not_heard(alice: Caller, bob: Caller) -> None:
    assert alice.ask(322, "Bob") == [(322, "Bob")]
    assert alice.ask(322, "bob") == [(325, "bob")]
    assert alice.ask(320) == [(321, "Bob"), (320, "1")]
    ignored = [(404, "alice is ignoring you")]
    assert bob.ask(205, "alice hello") == ignored
    assert bob.ask(751, "alice") == ignored
    assert bob.ask(203, f'alice "{SONG}"') == ignored
    assert numbers(bob.ask(640, "alice")) == [642]
    assert bob.ask(626, "alice") == []
    assert alice.heard() == []
    assert alice.ask(323, "BOB") == [(323, "BOB")]
    assert alice.ask(323, "bob") == [(324, "bob")]
    assert alice.ask(322, "carol") == [(322, "carol")]
    assert alice.ask(326) == [(326, "1")]
    assert alice.ask(320) == [(320, "0")]


def test_what_nobody_knows_is_answered(alice: Caller) -> None:
    assert alice.ask(12345, "x") == [(404, "Unknown command code 12345")]
    assert alice.ask(201, f'"a" {MD5} 1 1 1 1 x 1 1') == [(404, "Unknown command code 201")]
    assert alice.ask(610, "bob") == [(404, "Unknown command code 610")]
    assert alice.ask(14, "NAME: x") == []
    assert alice.ask(300, "1") == []
    assert alice.ask(617) == [(617, "")]
    assert alice.ask(4, "2") == [(4, "")]


def test_a_guest_has_no_password_to_change(alice: Caller) -> None:
    assert alice.ask(701, "new") == [(404, "this server keeps no accounts")]
    assert alice.ask(702, "a@b.c") == []


# Our extension


def test_notes_go_to_our_own_programs_before_the_hits_they_belong_to(town: Town) -> None:
    alice = town.sharer("alice", SONG, FILM, host="10.0.0.3", client="p2pswarm/0.1.0")
    assert alice.ask(0x7001, f'"{SONG}" {SHA1} {BTIH}') == []
    bob, ours = town.member("bob"), town.member("ours", client="p2pswarm/0.2.0")
    assert 0x7002 not in numbers(bob.ask(200, 'FILENAME CONTAINS "moon"'))
    heard = ours.ask(200, 'FILENAME CONTAINS "moon mp3"')
    note = (0x7002, f'alice "{SONG}" {SHA1} {BTIH} 6699')
    assert heard == [note, hit(), (202, "")]
    assert ours.ask(0x7003, f"btih {BTIH}") == [note, hit(), (202, "")]
    assert ours.ask(0x7003, f"sha1 {SHA1}") == [note, hit(), (202, "")]
    assert ours.ask(0x7003, f"btih {SHA1}") == [(202, "")]
    assert numbers(ours.ask(0x7003, f"md4 {SHA1}")) == [404, 202]
    assert numbers(ours.ask(0x7003, "btih 12")) == [404, 202]
    alice.say(0x7001, f'"{FILM}" - {BTIH}')
    assert (0x7002, f'alice "{FILM}" - {BTIH} 6699') in ours.ask(200, 'FILENAME CONTAINS "avi"')


def test_a_note_of_a_file_that_is_not_shared_is_nothing(town: Town) -> None:
    ours = town.member("ours", client="p2pswarm/0.2.0")
    assert ours.ask(0x7001, f'"{SONG}" {SHA1} {BTIH}') == []
    assert ours.ask(0x7003, f"btih {BTIH}") == [(202, "")]


# Time


def test_numbers_are_told_from_time_to_time(town: Town, alice: Caller) -> None:
    alice.heard()
    town.run(299)
    assert alice.heard() == []
    town.run(60)
    assert alice.heard() == [(214, "1 2 0")]


def test_who_does_not_log_in_is_hung_up_on(town: Town) -> None:
    caller = town.call()
    town.run(14)
    assert not caller.over
    town.run(2)
    assert caller.over


def test_who_is_silent_is_asked_and_then_hung_up_on(town: Town) -> None:
    town.server.lobby._idle = 200.0
    object.__setattr__(town.server._settings, "idle", 200.0)
    alive, dead = town.member("alive"), town.member("dead")
    for _ in range(3):
        for caller in (alive, dead):
            caller.heard()
        town.run(150)
        assert (751, "server") in alive.heard()
        alive.say(752, "server")
        assert alive.heard() == []
    assert dead.over
    assert not alive.over


def test_the_message_of_the_day_is_a_file(tmp_path: Path) -> None:
    from tracker.napster.server import NapsterSettings, _motd

    file = tmp_path / "motd"
    file.write_text("one\n\ntwo\n")
    assert _motd(NapsterSettings(motd=file)) == ["one", "", "two"]
