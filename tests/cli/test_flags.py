"""One table for flags, variables and TOML keys: precedence, units, exclusions, one clear line."""

from collections.abc import Callable
from dataclasses import dataclass, field as field_of, fields
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given, strategies as st

from p2pswarm.cli.exits import Exit, UsageError
from p2pswarm.cli.flags import as_command
from p2pswarm.cli.options import TABLES, Creation, DataPath, Download, Output, Progress
from p2pswarm.cli.talking import Talking
from p2pswarm.config import TEXT, NetworkSettings, Settings, about
from p2pswarm.formats.ids import Address

Asked = Callable[..., dict[str, Any]]


@pytest.fixture
def asked() -> Asked:
    """What a command with all these options is given."""
    got: dict[str, Any] = {}

    def everything(
        output: Output,
        creation: Creation,
        download: Download,
        progress: Progress,
        settings: Settings,
        networks: NetworkSettings,
    ) -> Exit:
        for table in (output, creation, download, progress, settings, networks):
            got.update({field.name: getattr(table, field.name) for field in fields(table)})
        return Exit.OK

    app = as_command(everything)

    def ask(*arguments: str) -> dict[str, Any]:
        got.clear()
        app.main(list(arguments), standalone_mode=False)
        return got

    return ask


@pytest.fixture
def config(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "home" / "p2pswarm" / "config.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


def test_without_anything_the_defaults_hold(asked: Asked) -> None:
    got = asked()
    assert {name: got[name] for name in ("port", "up_limit", "stay", "tracker", "output")} == {
        "port": None, "up_limit": 0, "stay": False, "tracker": (), "output": None,
    }  # fmt: skip


def test_flag_before_variable_before_file(
    asked: Asked, config: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config('up_limit = "1MiB/s"\n')
    assert asked()["up_limit"] == 1 << 20
    monkeypatch.setenv("P2PSWARM_UP_LIMIT", "2MiB/s")
    assert asked()["up_limit"] == 2 << 20
    assert asked("--up-limit", "3MiB/s")["up_limit"] == 3 << 20


def test_a_flag_can_take_back_what_the_file_says(
    asked: Asked, config: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config("stay = true\n")
    assert asked()["stay"]
    assert not asked("--no-stay")["stay"]
    monkeypatch.setenv("P2PSWARM_STAY", "0")
    assert not asked()["stay"]


def test_every_source_speaks_the_same_words(
    asked: Asked, config: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config('peer = ["10.0.0.1:1", "[::1]:2"]\nseed_for = "30m"\nport = 7\noutput = "there"\n')
    got = asked()
    assert got["peer"] == (Address("10.0.0.1", 1), Address("::1", 2))
    assert got["seed_for"] == 1800
    assert got["port"] == 7
    assert got["output"] == Path("there")
    monkeypatch.setenv("P2PSWARM_PEER", "10.0.0.3:3 10.0.0.4:4")
    assert got["peer"] != asked()["peer"] == (Address("10.0.0.3", 3), Address("10.0.0.4", 4))
    assert asked("--peer", "10.0.0.5:5")["peer"] == (Address("10.0.0.5", 5),)
    assert asked("-o", "here")["output"] == Path("here")


def test_another_file(
    asked: Asked, config: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config("port = 1\n")
    other = tmp_path / "other.toml"
    other.write_text("port = 2\n")
    assert asked("--config", str(other))["port"] == 2
    monkeypatch.setenv("P2PSWARM_CONFIG", str(other))
    assert asked()["port"] == 2
    with pytest.raises(UsageError, match=r"nowhere.toml: No such file"):
        asked("--config", "nowhere.toml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("up_limt = 1", "there is no option 'up_limt', did you mean 'up_limit'?"),
        ("up-limit = 1", "did you mean 'up_limit'?"),
        ("xyzzy = 1", "there is no option 'xyzzy'"),
        ("[get]\nport = 1", "there is no option 'get'"),
        ("port = 'eighty'", "port: 'eighty' is not a whole number"),
        ("port = 70000", "port: 70000 is not a whole number from 0 to 65535"),
        ("port = true", "port: write PORT as text or number"),
        ("port = [1]", "port: write PORT as text or number"),
        ("stay = 'yes'", "stay: write true or false"),
        ("stay = 1", "stay: write true or false"),
        ("up_limit = -1", "up_limit: '-1' is not a rate"),
        ("peer = ['x']", "peer: 'x' is not HOST:PORT"),
        ("port =", "Invalid value"),
        ("port = 1\nport = 2", "Cannot overwrite a value"),
        (f"x = {'[' * 5000}{']' * 5000}", "maximum recursion depth exceeded"),
        ("#" * (1 << 20), "longer than 1 MiB"),
    ],
)
def test_a_wrong_file_is_one_clear_line(
    asked: Asked, config: Callable[[str], Path], text: str, said: str
) -> None:
    path = config(text + "\n")
    with pytest.raises(UsageError) as caught:
        asked()
    assert str(caught.value).startswith(f"{path}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "70000"], "--port: 70000 is not"),
        (["--up-limit", "fast"], "--up-limit: 'fast' is not a rate"),
        (["--piece-length", "100000"], "--piece-length: '100000' is not a power of two"),
        (["--piece-length", "8KiB"], "--piece-length: '8KiB' is not a power of two"),
        (["--peer", "host"], "--peer: 'host' is not HOST:PORT"),
        (["--tracker", "ftp://x/"], "--tracker: 'ftp://x/' is not a tracker's URL"),
        (["--tracker", "http://x/a b"], "is not a tracker's URL"),
        (["--tracker", "http://x:66666/announce"], "Port out of range"),
        (["--tracker", "udp://x/announce"], "--tracker: 'udp://x/announce' names no port"),
        (["--tracker", "http://[::"], "--tracker: "),
        (["--ratio", "-1"], "--ratio: '-1' is not a ratio"),
        (["--ratio", "nan"], "--ratio: 'nan' is not a ratio"),
        (["--bind", ""], "--bind: '' is not an address"),
        (["--exclude", "/"], "--exclude: a glob such as '*.nfo' is needed"),
        (["--exclude", "[c-a]"], "--exclude: '[c-a]' is not a glob"),
        (["--web-seed", "udp://x:1/"], "--web-seed: 'udp://x:1/' is not a web seed's URL"),
        (["--comment", "caf\udce9"], r"--comment: 'caf\udce9' is not UTF-8"),
        (["--hybrid", "--v2"], "--hybrid and --v2 exclude each other"),
        (["--keep-symlinks", "--follow-symlinks"], "exclude each other"),
        (["--stay", "--ratio", "2"], "--stay and --ratio exclude each other"),
        (["--ratio", "2", "--seed-for", "1m"], "--ratio and --seed-for exclude each other"),
    ],
)
def test_a_wrong_flag_is_one_clear_line(asked: Asked, arguments: list[str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        asked(*arguments)
    assert said in str(caught.value)


def test_a_profile_stands_between_the_file_and_the_variables(
    asked: Asked, config: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config(
        "port = 1\nstay = true\n"
        "[profile.music]\nport = 2\nratio = 1.5\nexclude = ['*.nfo', '*.m3u']\n"
        "[profile.other]\nport = 3\n"
    )
    assert (asked()["port"], asked()["exclude"]) == (1, ())
    got = asked("--profile", "music")
    assert (got["port"], got["exclude"]) == (2, ("*.nfo", "*.m3u"))
    assert (got["stay"], got["ratio"]) == (False, 1.5)
    monkeypatch.setenv("P2PSWARM_PROFILE", "other")
    assert asked()["port"] == 3
    monkeypatch.setenv("P2PSWARM_PORT", "4")
    assert asked()["port"] == 4
    assert asked("--profile", "music", "--port", "5")["port"] == 5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[profile.music]\n[profile.x]\nport = 'a'", "[profile.x]: port: 'a' is not"),
        ("[profile.music]\nup_limt = 1", "[profile.music]: there is no option 'up_limt', did"),
        ("[profile.musik]\nport = 1", "there is no profile 'music', did you mean 'musik'?"),
        ("port = 1", "there is no profile 'music'"),
        ("profile = 'music'", "a profile is a table, such as [profile.music]"),
        ("[profile]\nport = 1", "a profile is a table"),
    ],
)
def test_a_wrong_profile_is_one_clear_line(
    asked: Asked, config: Callable[[str], Path], text: str, said: str
) -> None:
    path = config(text + "\n")
    with pytest.raises(UsageError) as caught:
        asked("--profile", "music")
    assert str(caught.value).startswith(f"{path}: ")
    assert said in str(caught.value)


def test_a_profile_without_a_file(asked: Asked) -> None:
    with pytest.raises(UsageError, match=r"config.toml: there is no profile 'music'"):
        asked("--profile", "music")


def test_of_two_ends_the_stronger_source_wins(
    asked: Asked, config: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config("stay = true\n")
    got = asked("--ratio", "1.5")
    assert (got["stay"], got["ratio"]) == (False, 1.5)
    monkeypatch.setenv("P2PSWARM_SEED_FOR", "1h")
    got = asked()
    assert (got["stay"], got["seed_for"]) == (False, 3600)
    monkeypatch.setenv("P2PSWARM_RATIO", "1")
    with pytest.raises(UsageError, match="exclude each other"):
        asked()


def test_a_required_option_may_come_from_anywhere(
    config: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    got: list[DataPath] = []

    def one(where: DataPath) -> Exit:
        got.append(where)
        return Exit.OK

    app = as_command(one)
    with pytest.raises(UsageError, match="--data is needed"):
        app.main([], standalone_mode=False)
    config("data = 'from file'\n")
    app.main([], standalone_mode=False)
    monkeypatch.setenv("P2PSWARM_DATA", "from variable")
    app.main([], standalone_mode=False)
    assert got == [DataPath(Path("from file")), DataPath(Path("from variable"))]


def test_a_name_means_the_same_everywhere() -> None:
    """Flat keys: an option that two tables have must read the same."""
    known: dict[str, Any] = {}
    for table in TABLES:
        for field in fields(table):
            assert known.setdefault(field.name, field.metadata["unit"]) == field.metadata["unit"]


def test_an_option_whose_name_is_a_word_of_python(
    config: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    got: list[Path | None] = []

    def one(talking: Talking) -> Exit:
        got.append(talking.in_)
        return Exit.OK

    app = as_command(one)
    config("in = 'from file'\n")
    app.main([], standalone_mode=False)
    monkeypatch.setenv("P2PSWARM_IN", "from variable")
    app.main([], standalone_mode=False)
    app.main(["--in", "from flag"], standalone_mode=False)
    assert got == [Path("from file"), Path("from variable"), Path("from flag")]


def test_a_rule_between_fields_is_an_error_of_usage() -> None:
    @dataclass(frozen=True)
    class Never:
        """Refuses whatever it is given."""

        word: str = field_of(default="", metadata=about(TEXT, "a word"))

        def __post_init__(self) -> None:
            raise ValueError("not like this")

    def one(never: Never) -> Exit:
        raise AssertionError(never)

    app = as_command(one)
    with pytest.raises(UsageError, match="not like this"):
        app.main([], standalone_mode=False)


@given(st.text(max_size=40))
def test_any_text_for_any_option_is_a_value_or_a_value_error(text: str) -> None:
    said = ["-"]
    for table in TABLES:
        for field in fields(table):
            try:
                field.metadata["unit"].read(text)
            except ValueError as error:
                said.append(str(error))
    assert all(said)


# Secrets


def test_a_secret_comes_from_a_file_a_variable_or_the_configuration(
    asked: Asked,
    config: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "one").write_text("from-flag\nmore\n")
    (tmp_path / "two").write_text("from-variable-file")
    config('napster_nick = "alice"\nnapster_password = "from-toml"\n')
    assert asked()["napster_password"] == "from-toml"
    monkeypatch.setenv("P2PSWARM_NAPSTER_PASSWORD", "from-variable")
    assert asked()["napster_password"] == "from-variable"
    monkeypatch.setenv("P2PSWARM_NAPSTER_PASSWORD_FILE", str(tmp_path / "two"))
    assert asked()["napster_password"] == "from-variable-file"
    assert (
        asked("--napster-password-file", str(tmp_path / "one"))["napster_password"] == "from-flag"
    )


def test_no_flag_holds_a_secret(asked: Asked, tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match="No such option"):
        asked("--napster-password", "secret")
    with pytest.raises(UsageError, match=r"--napster-password-file: .*: No such file"):
        asked("--napster-password-file", str(tmp_path / "missing"))
    (tmp_path / "empty").write_text("\nsecret\n")
    with pytest.raises(UsageError, match=r"-password-file: .*empty: its first line is empty"):
        asked("--napster-password-file", str(tmp_path / "empty"))
    (tmp_path / "odd").write_text("two words")
    with pytest.raises(UsageError, match="a password is one word") as caught:
        asked("--napster-nick", "a", "--napster-password-file", str(tmp_path / "odd"))
    assert "two" not in str(caught.value)
    assert "secret" not in repr(NetworkSettings(napster_nick="a", napster_password="secret"))
