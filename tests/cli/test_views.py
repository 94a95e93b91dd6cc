"""How progress looks to a person, a script and a program."""

import io
import json
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st
from rich.cells import cell_len

from p2pswarm.cli.views import Bar, JsonLines, Nothing, Sample, Table, bar_line

MIB = 1 << 20
HALF = Sample(
    "photos",
    "downloading",
    13 * MIB,
    32 * MIB,
    48.2 * MIB,
    3.1 * MIB,
    4,
    2,
    1.84,
    7.0,
    {"have": 13},
)
HASHING = Sample("photos", "hashing", 16 * MIB, 32 * MIB, 500 * MIB, eta=0.032)


def drawn(sample: Sample, width: int) -> str:
    return " ".join(bar_line(sample, width))


def test_a_download_on_a_terminal() -> None:
    assert drawn(HALF, 120) == (
        "photos ▕████████▏           ▏  41% 13.0/32.0 MiB ↓ 48.2 MiB/s ↑ 3.1 "
        "peers 4(2 seeds) avail 1.8 eta 0:07"
    )


def test_web_seeds_are_shown_while_they_give() -> None:
    assert "peers 4(2 seeds) web 3 avail" in drawn(replace(HALF, web_seeds=3), 120)


def test_a_narrow_terminal_has_what_matters_most() -> None:
    assert (
        drawn(HALF, 80)
        == "photos ▕██   ▏  41% 13.0/32.0 MiB ↓ 48.2 MiB/s ↑ 3.1 peers 4(2 seeds) eta 0:07"
    )
    assert drawn(HALF, 60) == "photos ▕██   ▏  41% 13.0/32.0 MiB ↓ 48.2 MiB/s eta 0:07"


def test_hashing_on_a_terminal() -> None:
    assert drawn(HASHING, 120).endswith("▏  50% 16.0/32.0 MiB 500.0 MiB/s hashing eta 0:00")


def test_a_seed_has_no_end_to_wait_for() -> None:
    seed = Sample("x", "seeding", 5, 5, 0, 0, 0, 0, 1.0)
    assert drawn(seed, 120).endswith("100% 5/5 B ↓ 0 B/s ↑ 0 peers 0(0 seeds) avail 1.0 seeding")


@given(
    st.text(st.characters(), max_size=300),
    st.integers(0, 2**63),
    st.integers(0, 2**63),
    st.integers(60, 300),
)
def test_the_line_always_fits(name: str, done: int, total: int, width: int) -> None:
    line = drawn(
        Sample(name, "downloading", done, total, 2**60, 2**60, 9999, 9999, 99.9, 1e9), width
    )
    assert cell_len(line) < width
    assert line.isprintable()


def test_nothing_to_do_is_done() -> None:
    assert Sample("empty", "seeding", 0, 0).part == 1


def test_a_bar_renews_its_line_and_keeps_notes_and_results_apart(
    capfd: pytest.CaptureFixture[str],
) -> None:
    out = io.StringIO()
    bar = Bar(out)
    bar.status(0.0, HALF)
    bar.note(0.1, "[bold]x\x1b[2J")
    bar.result(0.2, "photos", {})
    bar.status(0.3, HALF)
    bar.close()
    assert "41%" in out.getvalue()
    assert "p2pswarm: [bold]x\\x1b[2J" in out.getvalue()
    assert "\x1b[2J" not in out.getvalue()
    assert capfd.readouterr().out == "photos\n"


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    drawings = []
    for value in ("", "1"):
        monkeypatch.setenv("NO_COLOR", value)
        out = io.StringIO()
        bar = Bar(out)
        bar.status(0.0, HALF)
        bar.close()
        drawings.append("\x1b[36m" in out.getvalue())
    assert drawings == [True, False]


def test_a_table_has_one_line_a_sample_below_its_names() -> None:
    out = io.StringIO()
    table = Table(out)
    table.status(1.0, HALF)
    table.status(2.0, HASHING)
    table.event(2.5, "piece_done", {"piece": 1})
    table.note(2.6, "a\tb")
    names, first, second, note = out.getvalue().splitlines()
    assert dict(zip(names.split("\t"), first.split("\t"), strict=True)) == {
        "time": "1.0", "state": "downloading", "percent": "40.6", "done": "13631488",
        "total": "33554432", "down_rate": "50541363", "up_rate": "3250586", "peers": "4",
        "seeds": "2", "availability": "1.84", "eta": "7", "name": "photos",
    }  # fmt: skip
    assert second.split("\t")[7:10] == ["-", "0", "-"]
    assert note == "p2pswarm: a\\x09b"


@given(st.text(st.characters()), st.floats() | st.none())
def test_json_lines_are_json_lines(text: str, number: float | None) -> None:
    out = io.StringIO()
    view = JsonLines(out)
    view.status(1.0, Sample(text, "downloading", 1, 2, more={"have": 1}))
    view.event(2.0, "piece_done", {"piece": 7})
    view.note(3.0, text)
    view.result(4.0, text, {"path": text})
    assert out.getvalue() == ""
    view.flush()
    status, event, note, result = map(json.loads, out.getvalue().splitlines())
    assert (status["event"], status["have"], status["name"]) == ("status", 1, text)
    assert event == {"event": "piece_done", "time": 2.0, "piece": 7}
    assert note == {"event": "note", "time": 3.0, "text": text}
    assert result == {"event": "result", "time": 4.0, "path": text}


def test_quiet_prints_results_only(capfd: pytest.CaptureFixture[str]) -> None:
    view = Nothing()
    view.status(0.0, HALF)
    view.event(0.0, "x", {})
    view.note(0.0, "x")
    view.result(0.0, "photos", {})
    view.close()
    assert capfd.readouterr() == ("photos\n", "")
