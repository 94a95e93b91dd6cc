"""Settings and the words for sizes, rates and durations."""

from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from p2pswarm.config import (
    FLAG,
    Settings,
    format_duration,
    format_rate,
    format_share,
    format_size,
    help_of,
    parse_count,
    parse_duration,
    parse_rate,
    parse_size,
    unit_of,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("4096", 4096),
        ("1B", 1),
        ("256KiB", 256 << 10),
        ("256 kib", 256 << 10),
        ("1.5GiB", 3 << 29),
        ("64M", 64 << 20),
        ("64Mi", 64 << 20),
        ("10kB", 10_000),
        ("2.5MB", 2_500_000),
        ("1GB", 10**9),
        ("0.3KiB", 307),
        (" 7EiB ", 7 << 60),
        (str(2**63 - 1), 2**63 - 1),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "-1", "+1", "1.5", "1.5B", "1e3", "nan", "inf", "1_000", "0x10", "1iB", "KiB", "1 2",
        "1.KiB", ".5KiB", "1KiBs", "1KKB",
        "١٢", "\uff11\uff12", "1²", "8EiB", str(2**63), "9" * 5000, "1\n2", "1\0",
    ],
)  # fmt: skip
def test_what_is_no_size_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_size(text)
    assert len(str(caught.value)) < 120
    assert "\n" not in str(caught.value)


@given(st.text(max_size=30))
def test_any_text_is_a_size_or_a_value_error(text: str) -> None:
    try:
        size = parse_size(text)
    except ValueError:
        return
    assert 0 <= size < 2**63


@given(st.text(max_size=30))
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    try:
        seconds = parse_duration(text)
    except ValueError:
        return
    assert 0 <= seconds < 2**63


@given(st.integers(0, 2**63 - 1))
def test_a_size_survives_being_shown_nearly(size: int) -> None:
    try:
        again = parse_size(format_size(size))
    except ValueError:
        assert format_size(size) == "8.0 EiB"
    else:
        assert abs(again - size) <= size * 0.06


@pytest.mark.parametrize(
    ("text", "rate"), [("2MiB/s", 2 << 20), ("2MiB", 2 << 20), ("0", 0), ("500kB/s", 500_000)]
)
def test_rates(text: str, rate: int) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["2MiB/m", "/s", "2/s/s", "-1/s"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a rate"):
        parse_rate(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("30m", 1800), ("1h30m", 5400), ("2d", 172_800), ("1.5h", 5400), ("0.5s", 0.5)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "-5", "m", "5x", "1h-5m", "nan", "\u0665m", "1e9", "40000d", "9" * 400]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a duration|hundred years"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["", "-1", "1.0", "1_0", "²", "٣", "9" * 20])
def test_what_is_no_count_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a whole number"):
        parse_count(text)


def test_what_people_see() -> None:
    assert [format_size(n) for n in (0, 999, 1023, 1024, 1 << 20, 3 << 29)] == [
        "0 B", "999 B", "1023 B", "1.0 KiB", "1.0 MiB", "1.5 GiB",
    ]  # fmt: skip
    assert format_size((1 << 20) - 1) == "1.0 MiB"
    assert format_rate(48.2 * (1 << 20)) == "48.2 MiB/s"
    assert format_share(13_736_346, 32 << 20) == "13.1/32.0 MiB"
    assert format_share(3, 7) == "3/7 B"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (7, "0:07"),
        (723, "12:03"),
        (3723, "1:02:03"),
        (176_523, "2d 01:02:03"),
        (None, "-"),
        (float("inf"), "-"),
        (float("nan"), "-"),
    ],
)
def test_remaining_time(seconds: float | None, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"port": 65536}, "port"),
        ({"port": -1}, "port"),
        ({"port": True}, "port"),
        ({"port": "80"}, "port"),
        ({"bind": ""}, "bind"),
        ({"bind": "a b"}, "bind"),
        ({"up_limit": -1}, "up_limit"),
        ({"up_limit": 1.5}, "up_limit"),
        ({"down_limit": 2**63}, "down_limit"),
        ({"upload_slots": 0}, "upload_slots"),
        ({"memory": 1}, "memory"),
        ({"disk_threads": 65}, "disk_threads"),
        ({"data_dir": "here"}, "data_dir"),
    ],
)
def test_a_wrong_setting_is_named(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        Settings(**wrong)  # type: ignore[arg-type]


def test_a_library_user_gets_neither_environment_nor_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "p2pswarm").mkdir()
    (tmp_path / "p2pswarm/config.toml").write_text("port = 1\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("P2PSWARM_PORT", "2")
    assert Settings().port is None


def test_every_setting_says_what_it_is() -> None:
    for field in fields(Settings):
        assert help_of(field.metadata)
        unit = unit_of(field.metadata)
        assert unit.metavar or unit is FLAG
