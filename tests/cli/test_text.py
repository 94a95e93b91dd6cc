"""What strangers wrote cannot act on a terminal, and stays exact in a pipe."""

from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from p2pswarm.cli.text import counted, printable, say, tell_result

HOSTILE = "a\x1b]0;owned\x07\x1b[2Jb\r\n\u202egnp.exe\x9b1m\ud800\U000e0041"


def test_hostile_names_become_harmless() -> None:
    assert printable(HOSTILE) == (
        "a\\x1b]0;owned\\x07\\x1b[2Jb\\x0d\\x0a\\u202egnp.exe\\x9b1m\\ud800\\U000e0041"
    )
    assert printable("Grüße 日本 [bold]") == "Grüße 日本 [bold]"


@given(st.text(st.characters()))
def test_nothing_unprintable_is_left(text: str) -> None:
    assert printable(text).isprintable()


def test_a_line_for_the_person(capfd: pytest.CaptureFixture[str]) -> None:
    say(HOSTILE)
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("p2pswarm: a\\x1b]0")
    assert err.count("\n") == 1


def test_who_cannot_be_told_still_gets_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        monkeypatch.setattr("sys.stderr", full)
        say("nobody is called nobody")  # raises nothing
        monkeypatch.undo()
        with suppress(OSError):
            full.close()


def test_a_result_in_a_pipe_is_exact(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    tell_result("a\x1b\udcff")
    assert capfdbinary.readouterr().out == b"a\x1b\xff\n"


def test_a_result_on_a_terminal_is_harmless(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    tell_result("a\x1b\t7")
    assert capfd.readouterr().out == "a\\x1b\t7\n"


def test_one_and_many() -> None:
    assert [counted(n, "file") for n in (0, 1, 2)] == ["0 files", "1 file", "2 files"]
