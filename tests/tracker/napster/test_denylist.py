import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from p2pswarm.errors import HostError
from tests.support.napster import MD5, SONG, Town
from tracker.napster.audit import Audit
from tracker.napster.denylist import Rules
from tracker.napster.index import SharedFile

SHA1, BTIH = "5" * 40, "b" * 40
LIST = f"""
# taken down on request 17
md5 {MD5.upper()}
sha1: {SHA1}
btih {BTIH}   # and why
Blue Moon
words: md5 of fame
"""


def shared(name: str = "x", md5: str = "", sha1: str = "", btih: str = "") -> SharedFile:
    return SharedFile(
        name, bytes.fromhex(md5), 1, 0, 0, 0, bytes.fromhex(sha1), bytes.fromhex(btih)
    )


@pytest.mark.parametrize(
    ("file", "rule"),
    [
        (shared(), None),
        (shared(md5=MD5), f"md5 {MD5}"),
        (shared(md5="0" * 32), None),
        (shared(sha1=SHA1), f"sha1 {SHA1}"),
        (shared(btih=BTIH), f"btih {BTIH}"),
        (shared(sha1=BTIH), None),
        (shared("C:\\x\\MOON_blue.mp3"), "words blue moon"),
        (shared("blue.mp3"), None),
        (shared("the md5 of my fame"), "words fame md5 of"),
    ],
)
def test_a_file_is_denied_by_its_hashes_or_by_all_words_of_a_rule(
    file: SharedFile, rule: str | None
) -> None:
    rules = Rules.parse(LIST)
    assert rules.against(file) == rule
    assert len(rules) == 5
    assert bool(rules)


def test_no_rules() -> None:
    assert not Rules()
    assert not Rules.parse("# nothing\n\n")
    assert Rules().against(shared("blue moon", MD5)) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [("\nmd5 abc", "line 2: an md5 has 32 digits, not 3"), ("...", "line 1 has neither")],
)
def test_a_bad_line_is_named(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Rules.parse(text)


@given(st.text())
def test_any_text_is_a_list_or_not(text: str) -> None:
    with suppress(ValueError):
        assert (
            Rules.parse(text).against(shared(text)) is not None or not text.strip() or "#" in text
        )


# On the server


@pytest.fixture
def denying() -> Town:
    """alice shared before the rules came."""
    town = Town()
    town.sharer("alice", SONG, "green.mp3", "red moon.mp3", host="10.0.0.3")
    town.server.audit.rules = Rules.parse(f"blue moon\nbtih {BTIH}\nmd5 {'d' * 32}")
    return town


def test_what_was_taken_down_is_found_no_more(denying: Town) -> None:
    bob = denying.member("bob")
    heard = bob.ask(200, 'FILENAME CONTAINS "moon"')
    assert [number for number, _ in heard] == [201, 202]
    assert "red moon" in heard[0][1]
    assert len(bob.ask(215, f"{MD5} 443332")) == 3
    assert [number for number, _ in bob.ask(211, "alice")] == [212, 212, 213]
    assert bob.ask(203, f'alice "{SONG}"') == [(206, f'alice "{SONG}"')]
    assert bob.ask(215, f"{'d' * 32} 1") == [(217, "")]


def test_a_search_for_what_was_taken_down_is_told_so(denying: Town) -> None:
    bob, ours = denying.member("bob"), denying.member("ours", client="p2pswarm/1")
    why = (404, "search failed: this may not be searched here")
    assert bob.ask(200, 'FILENAME CONTAINS "the blue moon live"') == [why, (202, "")]
    assert ours.ask(0x7003, f"btih {BTIH}") == [why, (202, "")]


def test_what_was_taken_down_is_not_shared_again(denying: Town) -> None:
    carol = denying.member("carol", "10.0.0.4", client="p2pswarm/1")
    why = "some of your files may not be shared here"
    assert carol.ask(100, f'"Moon is blue" {MD5} 1 0 0 0') == [(404, why)]
    assert carol.ask(870, f'"blue" "moon" {MD5} 1 0 0 0 "x" {MD5} 1 0 0 0') == []
    assert carol.ask(100, f'"y" {"d" * 32} 1 0 0 0') == []
    assert carol.ask(214) == [(214, "2 4 0")]
    assert carol.ask(100, f'"z" {MD5} 1 0 0 0') == []
    assert carol.ask(0x7001, f'"z" - {BTIH}') == []
    assert carol.ask(214) == [(214, "2 4 0")]


# The file and the log


class Date:
    def __init__(self) -> None:
        self.now = 1_000_000_000.0

    def __call__(self) -> float:
        return self.now


def told(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


async def settle(audit: Audit) -> None:
    """What was given to the thread is done, and has been told."""
    while audit._worker.waiting:
        await audit._worker.run(lambda: None)


async def test_what_was_stopped_is_logged_once_a_minute_with_a_count(tmp_path: Path) -> None:
    deny, date = tmp_path / "deny", Date()
    deny.write_text("blue moon")
    audit = Audit(deny, None, date)
    await audit.start()
    journal = tmp_path / "deny.audit.jsonl"
    assert told(journal) == []
    for _ in range(5):
        audit.stopped("share", "words blue moon", "caf\udce9", "10.0.0.2", "x\ny")
    audit.stopped("search", "words blue moon", "bob", "10.0.0.3", "blue moon")
    audit.tick()
    await settle(audit)
    first, second = told(journal)
    assert first == {
        "time": date.now,
        "what": "share",
        "rule": "words blue moon",
        "nick": "caf\u00e9",
        "address": "10.0.0.2",
        "name": "x\ny",
        "times": 1,
    }
    assert second["what"] == "search"
    date.now += 61
    audit.tick()
    await settle(audit)
    assert [entry["times"] for entry in told(journal)] == [1, 1, 4]
    audit.stopped("share", "words blue moon", "bob", "10.0.0.2", "x")
    audit.stopped("share", "words blue moon", "bob", "10.0.0.2", "x")
    await audit.aclose()
    assert [entry["times"] for entry in told(journal)] == [1, 1, 4, 1, 1]


async def test_the_log_is_appended_to_and_may_be_elsewhere(tmp_path: Path) -> None:
    deny, journal = tmp_path / "deny", tmp_path / "log"
    deny.write_text("")
    journal.write_text('{"times": 7}\n')
    audit = Audit(deny, journal)
    await audit.start()
    audit.stopped("share", "x", "bob", "10.0.0.2", "x")
    await audit.aclose()
    assert [entry["times"] for entry in told(journal)] == [7, 1]


async def test_a_changed_list_holds_within_seconds(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    deny, date = tmp_path / "deny", Date()
    deny.write_text("one")
    audit = Audit(deny, None, date)
    await audit.start()
    assert len(audit.rules) == 1
    deny.write_text("one\ntwo")
    audit.tick()
    await settle(audit)
    assert len(audit.rules) == 2
    deny.write_text("one\ntwo\nthree")
    date.now += 1
    audit.tick()
    await settle(audit)
    assert len(audit.rules) == 2
    date.now += 5
    audit.tick()
    await settle(audit)
    assert len(audit.rules) == 3
    assert caplog.text.count("hold now") == 2
    await audit.aclose()


async def test_a_list_that_is_broken_or_gone_leaves_the_rules_as_they_are(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    deny = tmp_path / "deny"
    deny.write_text("one")
    audit = Audit(deny, None)
    await audit.start()
    for break_ in (lambda: deny.write_text("md5 7"), deny.unlink):
        break_()
        for _ in range(3):
            audit.reload()
            await settle(audit)
        assert len(audit.rules) == 1
    assert caplog.text.count("the old rules stay") == 2
    deny.write_text("one\ntwo")
    audit.reload()
    await settle(audit)
    assert len(audit.rules) == 2
    await audit.aclose()


@pytest.mark.parametrize("text", [None, "md5 7"])
async def test_a_server_does_not_start_with_a_broken_list(tmp_path: Path, text: str | None) -> None:
    deny = tmp_path / "deny"
    if text is not None:
        deny.write_text(text)
    with pytest.raises(HostError, match="the deny-list"):
        await Audit(deny, None).start()


async def test_a_server_does_not_start_when_it_cannot_log(tmp_path: Path) -> None:
    deny = tmp_path / "deny"
    deny.write_text("x")
    with pytest.raises(HostError, match="cannot be written"):
        await Audit(deny, tmp_path / "nowhere" / "log").start()


async def test_the_log_does_not_remember_without_end(tmp_path: Path) -> None:
    deny = tmp_path / "deny"
    deny.write_text("x")
    audit = Audit(deny, None)
    await audit.start()
    for n in range(11_000):
        audit.stopped("share", "x", "bob", f"10.{n}", "x")
    assert len(audit._told) == 10_000
    await audit.aclose()
