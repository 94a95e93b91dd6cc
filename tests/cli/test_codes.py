"""Short codes with real processes, and what is typed of them."""

import io
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from p2pswarm.cli import coding
from p2pswarm.cli.coding import completions
from p2pswarm.cli.exits import Exit
from p2pswarm.cli.views import Bar
from p2pswarm.formats import bencode
from p2pswarm.formats.code import Code
from p2pswarm.formats.code_words import FIRST, SECOND
from tests.cli.conftest import Command
from tests.support.patience import PATIENCE
from tests.support.processes import ROOT, Program, program
from tests.support.quiet import quiet

WORDS = os.urandom(300_000)


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Program]:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "words").write_bytes(WORDS)
    options = ("--bind", "127.0.0.2", "--port", "0", "--tracker-port", "0", "--json")
    with program(tmp_path / "share", "share", tmp_path / "source" / "words", *options) as sharing:
        yield sharing


def code_of(sharing: Program) -> Code:
    sharing.wait_for("listening")
    told = sharing.wait_for("result", expires=3600.0)
    assert told["command"] == f"p2pswarm get {told['code']}"
    assert told["expires"] == 3600
    return Code.parse(told["code"])


def getting(
    tmp_path: Path, *arguments: str, typed: str = "", **env: str
) -> subprocess.CompletedProcess[str]:
    """`get` with the code by another way than the command line."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("P2PSWARM_")}
    clean |= {"XDG_CONFIG_HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "get")}
    clean |= {"P2PSWARM_DHT": "no", "P2PSWARM_LSD": "no", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "p2pswarm", "get", *arguments, "--bind", "127.0.0.3", "--port", "0"],
        input=typed, text=True, capture_output=True, env=clean | env, timeout=PATIENCE, check=False,
        cwd=tmp_path,
    )  # fmt: skip


def test_a_code_by_standard_input_and_by_the_environment(shared: Program, tmp_path: Path) -> None:
    code = str(code_of(shared))
    for way, env, typed in (
        ("--code", {}, f"{code.upper().replace('-', ' ')}\n"),
        ("", {"P2PSWARM_CODE": code}, ""),
    ):
        output = tmp_path / f"copy{way}"
        ended = getting(tmp_path, *way.split(), "-o", str(output), typed=typed, **env)
        assert (ended.returncode, ended.stdout) == (0, f"{output}/words\n"), ended.stderr
        assert (output / "words").read_bytes() == WORDS
        assert "this goes on: p2pswarm get 'magnet:?" in ended.stderr
    shared.wait_for("code_given", times=2)


def test_wrong_words_are_three_and_soon_the_code_is_over(shared: Program, command: Command) -> None:
    code = code_of(shared)
    wrong = Code(code.number, code.first, SECOND[SECOND.index(code.second) - 1], code.at)
    for _ in range(5):
        ended = command("get", wrong)
        assert (ended.code, ended.out) == (Exit.BAD_TORRENT, "")
        assert f"those are not the words of code {code.number}" in ended.err
    ended = command("get", code)
    assert ended.code == Exit.BAD_TORRENT
    assert f"nobody gives code {code.number} there" in ended.err
    shared.wait_for("note", text="too many wrong guesses: the code is over, the rest goes on")


def test_what_was_given_away_by_code_can_be_gone_on_with(shared: Program, tmp_path: Path) -> None:
    """As any download: killed, and begun again."""
    options = ("-o", tmp_path / "copy", "--bind", "127.0.0.3", "--port", "0", "--json")
    code = code_of(shared)
    with program(tmp_path / "get", "get", code, *options, "--down-limit", "100kB") as first:
        first.wait_for("piece_done")
        first.process.kill()
    with program(tmp_path / "get", "get", code, *options) as again:
        assert again.wait() == 0
        magnet = again.wait_for("code_opened")["magnet"]
        assert magnet.startswith("magnet:?xt=urn:btih:")
        assert again.latest("status")["downloaded"] < len(WORDS)
    assert (tmp_path / "copy" / "words").read_bytes() == WORDS


def test_at_another_rendezvous_the_code_does_not_say_where(tmp_path: Path) -> None:
    (tmp_path / "words").write_bytes(WORDS)
    options = ("--host", "127.0.0.1", "--port", "0", "--no-udp")
    with program(tmp_path / "tracker", *options, module="tracker") as tracker:
        place = tracker.wait_for_line().removesuffix("/announce")
        where = ("--rendezvous", place)
        more = ("--bind", "127.0.0.2", "--port", "0", "--tracker-port", "0", "--json")
        with program(tmp_path / "share", "share", tmp_path / "words", *where, *more) as sharing:
            told = sharing.wait_for("result", expires=3600.0)
            assert Code.parse(told["code"]).at is None
            assert shlex.split(told["command"]) == ["p2pswarm", "get", told["code"], *where]
            ended = getting(tmp_path, told["code"], *where, "-o", str(tmp_path / "copy"))
            assert ended.returncode == 0, ended.stderr
            # whoever runs the rendezvous is not told which torrent it is
            magnet = next(each["magnet"] for each in sharing.events if "magnet" in each)
            assert place.removeprefix("http://") not in magnet.replace("%3A", ":")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["7-acron-abacus"], Exit.BAD_TORRENT, "did you mean 'acorn'?"),
        (["7-acorn-abacus"], Exit.USAGE, "where is code 7 given? Type it as share printed it"),
        (["7-acorn-abacus@127.0.0.1:1"], Exit.NETWORK, "127.0.0.1:1: cannot be reached"),
        (["7-acorn-abacus", "--rendezvous", "ftp://x"], Exit.USAGE, "is no rendezvous such as"),
        (["7-acorn-abacus", "--rendezvous", "http://x?y"], Exit.USAGE, "nothing follows"),
    ],
)
def test_what_is_wrong_is_one_clear_line(
    command: Command, arguments: list[str], code: Exit, said: str
) -> None:
    ended = command("get", *arguments)
    assert (ended.code, ended.out) == (code, "")
    assert said in ended.err.splitlines()[-1]


def test_a_file_of_that_name_is_a_file(command: Command) -> None:
    Path("7-acorn-abacus").write_text("no torrent")
    ended = command("get", "7-acorn-abacus")
    assert "7-acorn-abacus: not bencode" in ended.err


def test_nothing_typed_is_wrong_usage(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    ended = command("get", "--code")
    assert (ended.code, ended.err) == (Exit.USAGE, "p2pswarm: no code was typed\n")


def test_a_code_longer_than_a_week_is_refused(command: Command) -> None:
    ended = command("share", ".", "--code-for", "8d")
    assert (ended.code, ended.err) == (
        Exit.USAGE,
        "p2pswarm: --code-for: a code is good for a week at most\n",
    )


def test_tab_completes_words_in_their_places() -> None:
    assert completions("7") == []
    assert completions("7-aco") == ["acorn-"]
    assert completions("7 aco") == ["acorn-"]
    assert completions("7-acorn-aba") == ["abacus"]
    assert completions("7-acorn-aco") == []
    assert len(completions("7-")) == len(FIRST)
    assert completions("7-acorn-abacus-") == []


def test_the_prompt_has_its_completion_for_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    readline = pytest.importorskip("readline")

    def typed(prompt: str) -> str:
        assert prompt == "code: "
        assert readline.get_completer()("", 0) is None
        return "7-acorn-abacus "

    monkeypatch.setattr("builtins.input", typed)
    for name in ("stdin", "stdout"):
        monkeypatch.setattr(getattr(sys, name), "isatty", lambda: True, raising=False)
    assert coding._asked() == "7-acorn-abacus"
    assert readline.get_completer() is None


def test_the_link_behind_a_code_is_not_too_long() -> None:
    from p2pswarm.cli.codes import _MOST_LINK, _link
    from p2pswarm.formats.ids import Address
    from p2pswarm.formats.magnet import Magnet
    from p2pswarm.formats.metainfo import Metainfo

    info = {b"length": 5000, b"name": b"file", b"piece length": 16384, b"pieces": bytes(20)}
    long = b"http://tracker.example/" + b"%2f" * 500
    table = {b"announce-list": [[b"%s%d" % (long, each)] for each in range(20)]}
    table |= {b"url-list": [long], b"announce": b"http://a.example/announce"}
    metainfo = Metainfo.from_bytes(bencode.encode({**table, b"info": info}))
    here = Address("192.0.2.1", 5)
    link = _link(metainfo, [here], 6, "198.51.100.1")
    magnet = Magnet.parse(link.decode())
    assert len(link) <= _MOST_LINK
    assert magnet.trackers == Magnet.of(metainfo).trackers[: len(magnet.trackers)] != ()
    assert magnet.peers == (here, Address("198.51.100.1", 6))
    assert Magnet.parse(_link(metainfo, [here], 5, "192.0.2.1").decode()).peers == (here,)
    assert Magnet.parse(_link(metainfo, [here], 5, "nonsense").decode()).peers == (here,)


class Notes:
    """A report that only takes notes."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str, *, again: bool = False) -> None:
        self.said.append(text)


@pytest.mark.parametrize(("seconds", "said"), [(0.0, 0), (60.0, 1)])
async def test_there_is_no_code_where_none_is_wanted_or_would_help(
    seconds: float, said: int
) -> None:
    from p2pswarm.cli.codes import CodeOffer, code_given
    from p2pswarm.formats.metainfo import Metainfo
    from p2pswarm.node import Node

    info = {b"length": 5, b"name": b"file", b"piece length": 16384, b"pieces": bytes(20)}
    private = Metainfo.from_bytes(bencode.encode({b"info": {**info, b"private": 1}}))
    notes, offer = Notes(), CodeOffer(seconds, "http://127.0.0.1:1", None)
    async with code_given(offer, private, [], Node(quiet()), notes):  # type: ignore[arg-type]
        assert ["no code" in each for each in notes.said] == [True] * said


def test_a_picture_is_for_a_terminal_that_is_wide_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from p2pswarm.cli.codes import _qr

    rows = _qr("p2pswarm get 7-acorn-abacus@192.168.1.5:6969")
    assert len({len(row) for row in rows}) == 1
    for width, drawn in ((80, True), (20, False)):
        monkeypatch.setenv("COLUMNS", str(width))
        out = io.StringIO()
        Bar(out).picture(lambda: rows)
        assert (rows[5] in out.getvalue()) is drawn
