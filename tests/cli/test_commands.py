"""create, info and verify as a person types them: results, exit codes, one line for each error."""

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from p2pswarm import __version__
from p2pswarm.cli.app import app
from p2pswarm.cli.exits import Exit
from p2pswarm.formats import bencode
from tests.cli.conftest import Command
from tests.support.generations import contents, generation

PIECE = 16 << 10
LATER = time.time() + 1_000_000  # than any file of a test


@pytest.fixture
def photos() -> Path:
    folder = Path("photos")
    (folder / "2024").mkdir(parents=True)
    (folder / "2024/a.jpg").write_bytes(os.urandom(5 * PIECE + 1))
    (folder / "b.jpg").write_bytes(b"b" * 100)
    (folder / "c.jpg").write_bytes(os.urandom(3 * PIECE))
    (folder / "empty").touch()
    return folder


@pytest.fixture
def torrent(photos: Path, command: Command) -> Path:
    assert command("create", photos, "--piece-length", "16KiB").code == 0
    return Path("photos.torrent")


def hostile(name: bytes, **more: bytes) -> bytes:
    info = {b"name": name, b"piece length": PIECE, b"pieces": b"x" * 20, b"length": 5}
    return bencode.encode({b"info": info, **{key.encode(): more[key] for key in sorted(more)}})


def test_version_and_help(command: Command) -> None:
    assert command("--version").out == f"p2pswarm {__version__}\n"
    alone = command()
    assert (alone.code, alone.out) == (2, "")
    assert "Usage: p2pswarm" in alone.err


@pytest.mark.parametrize("name", ["create", "info", "seed", "get", "verify", "share"])
def test_every_command_has_an_example(command: Command, name: str) -> None:
    shown = command(name, "--help")
    assert shown.code == 0
    assert shown.out.rstrip().splitlines()[-1].strip().startswith(f"Example: p2pswarm {name} ")
    if name in ("seed", "get", "share"):
        for flag in ("--port", "--bind", "--up-limit", "--down-limit", "P2PSWARM_UP_LIMIT"):
            assert flag in shown.out


@pytest.mark.parametrize("name", app.commands)
def test_what_help_says_of_a_command_is_how_its_own_help_begins(
    command: Command, name: str
) -> None:
    known = app.commands[name].help
    assert known
    own = " ".join(command(name, "--help").out.split())
    assert f"{known} " in own
    assert own.index(known) < own.index("Options:")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["get"], "Missing argument 'TORRENT'. (see p2pswarm get --help)"),
        (["seed", "x.torrent"], "--data is needed"),
        (["nosuch"], "No such command 'nosuch'. (see p2pswarm --help)"),
        (["gte"], "Did you mean 'get'?"),
        (["get", "x", "--nosuch"], "No such option '--nosuch'."),
        (["get", "x", "--port"], "Option '--port' requires an argument."),
        (["get", "x", "--port", "x"], "--port: 'x' is not a whole number"),
        (["get", "x", "--stay", "--ratio", "1"], "--stay and --ratio exclude each other"),
        (["info", "x", "y"], "Got unexpected extra argument"),
        (
            ["create", ""],
            "PATH is empty",
        ),  # "$X" of a variable that is not set, and not all of this folder
        (["share", ""], "PATH is empty"),
        (["send", "bob", ""], "FILE is empty"),
        (["message", "bob", "caf\udce9"], r"TEXT: 'caf\udce9' is not UTF-8"),
        (["search", "caf\udce9"], r"WORDS: 'caf\udce9' is not UTF-8"),
        (["whois", "x"], "'x' is not a name"),
    ],
)
def test_wrong_usage_is_two_and_one_line(command: Command, arguments: list[str], said: str) -> None:
    ended = command(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("p2pswarm: ")
    assert said in ended.err
    assert ended.err.count("\n") == 1


def test_create_prints_the_file_it_wrote(command: Command, photos: Path) -> None:
    made = command("create", photos, "--quiet")
    assert (made.code, made.out, made.err) == (0, "photos.torrent\n", "")
    assert Path("photos.torrent").stat().st_mode & 0o777 == 0o666 & ~current_umask()


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_create_shows_its_progress_on_stderr(command: Command, photos: Path) -> None:
    made = command("create", photos)
    names, *lines = made.err.splitlines()
    assert names.startswith("time\tstate\tpercent\t")
    assert lines[-1].split("\t")[1:3] == ["hashing", "100.0"]


def test_create_speaks_json(command: Command, photos: Path) -> None:
    made = command("create", photos, "--json")
    *_, result = map(json.loads, made.out.splitlines())
    assert (result["event"], result["path"]) == ("result", "photos.torrent")
    assert len(result["info_hash"]) == 40
    assert made.err == ""


def test_create_does_not_overwrite_unasked(command: Command, photos: Path, torrent: Path) -> None:
    before = torrent.read_bytes()
    again = command("create", photos, "--comment", "new")
    assert (again.code, again.out) == (13, "")
    assert again.err == "p2pswarm: photos.torrent exists already, --force replaces it\n"
    assert torrent.read_bytes() == before
    assert command("create", photos, "--comment", "new", "--force").code == 0
    assert torrent.read_bytes() != before


def test_create_writes_where_it_is_told(command: Command, photos: Path, tmp_path: Path) -> None:
    assert command("create", photos, "-o", "x.torrent").out == "x.torrent\n"
    (tmp_path / "folder").mkdir()
    made = command("create", photos, "--output", tmp_path / "folder")
    assert made.out == f"{tmp_path / 'folder/photos.torrent'}\n"
    nowhere = command("create", photos, "-o", "no/such/x.torrent")
    assert (nowhere.code, nowhere.err.splitlines()[-1]) == (
        1,
        "p2pswarm: no/such is not a folder",
    )


def test_create_leaves_out_what_it_is_told(command: Command, photos: Path) -> None:
    made = command("create", photos, "--exclude", "*.jpg", "--include", "2024/", "--exclude", "*.x")
    assert "no file or folder is meant by '*.x'" in made.err
    facts = json.loads(command("info", "photos.torrent", "--json").out)
    assert [file["path"] for file in facts["files"]] == ["photos/2024/a.jpg", "photos/empty"]


def test_create_says_what_it_is_told(command: Command, photos: Path, torrent: Path) -> None:
    seeds = ["--web-seed", "http://a.example/d", "--web-seed", "https://b.example/d/"]
    more = ["--similar", "AB" * 20, "--similar", torrent, "--similar", "cd" * 32]
    told = ["--collection", "holidays", "--collection", "all of them", "--no-date"]
    assert command("create", photos, "-o", "new.torrent", *seeds, *more, *told).code == 0
    said = bencode.decode(Path("new.torrent").read_bytes())
    old = hashlib.sha1(bencode.encode(bencode.decode(torrent.read_bytes())[b"info"])).digest()
    assert said[b"url-list"] == [b"http://a.example/d/", b"https://b.example/d/"]
    assert said[b"info"][b"similar"] == [b"\xab" * 20, old, b"\xcd" * 20]
    assert said[b"info"][b"collections"] == [b"holidays", b"all of them"]
    assert b"creation date" not in said
    assert b"creation date" in bencode.decode(torrent.read_bytes())
    shown = command("info", "new.torrent").out
    assert f"similar       {'ab' * 20} {old.hex()} {'cd' * 20}\n" in shown
    assert "collections   holidays, all of them\n" in shown
    missing = command("create", photos, "--force", "--similar", "nosuch.torrent")
    assert (missing.code, missing.out) == (3, "")


def test_create_makes_each_generation(command: Command, photos: Path) -> None:
    for flag, keys in (("--v1", "pieces"), ("--hybrid", "pieces file tree"), ("--v2", "file tree")):
        made = command("create", photos, flag, "--force", "--no-date", "--json")
        assert ("info_hash_v2" in made.out) is ("tree" in keys)
        info = bencode.decode(Path("photos.torrent").read_bytes())[b"info"]
        assert all((key in info) is (key.decode() in keys) for key in (b"pieces", b"file tree"))


def test_create_reads_only_a_sample_of_what_an_old_torrent_knows(
    command: Command, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: LATER)
    assert command("create", photos, "--hybrid", "--piece-length", "64KiB").code == 0
    once = Path("photos.torrent").read_bytes()
    made = command("create", photos, "--hybrid", "--force", "--reuse-pieces", "photos.torrent")
    assert "4 of 4 pieces known, 4 of them read again" in made.err
    assert Path("photos.torrent").read_bytes() == once
    missing = command("create", photos, "--force", "--reuse-pieces", "nosuch.torrent")
    assert (missing.code, missing.out) == (3, "")


def test_create_of_nothing(command: Command) -> None:
    made = command("create", "nosuch")
    assert (made.code, made.out, made.err.count("\n")) == (1, "", 1)
    assert "nosuch" in made.err


def test_links_in_a_circle_are_one_line(command: Command) -> None:
    Path("a").symlink_to("b")
    Path("b").symlink_to("a")
    for arguments in (["create", "a"], ["send", "bob", "a"]):
        ended = command(*arguments)
        assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)


def test_create_replaces_no_device(command: Command, photos: Path) -> None:
    """It would be a file from then on, for everybody."""
    os.mkfifo("pipe")
    made = command("create", photos, "-o", "pipe", "--force")
    assert (made.code, made.out) == (1, "")
    assert "pipe is not a file, so it is not replaced" in made.err
    assert Path("pipe").is_fifo()


def test_info_tells_all_of_it(command: Command, photos: Path) -> None:
    trackers = ["--tracker", "http://a.example/announce", "--tracker", "http://b.example/announce"]
    words = ["--comment", "for you", "--source", "me", "--private", "--piece-length", "32KiB"]
    assert command("create", photos, *trackers, *words).code == 0
    facts = json.loads(command("info", "photos.torrent", "--json").out)
    assert facts["name"] == "photos"
    assert facts["size"] == 8 * PIECE + 101
    assert (facts["piece_length"], facts["pieces"]) == (32 << 10, 5)
    assert facts["private"] is True
    assert [url for tier in facts["trackers"] for url in tier] == trackers[1::2]
    assert (facts["comment"], facts["source"]) == ("for you", "me")
    assert sorted(file["path"] for file in facts["files"]) == [
        "photos/2024/a.jpg", "photos/b.jpg", "photos/c.jpg", "photos/empty",
    ]  # fmt: skip
    shown = command("info", "photos.torrent").out
    for each in (facts["info_hash"], "http://b.example/announce", "for you", "photos/2024/a.jpg"):
        assert each in shown


@pytest.mark.parametrize("v1", [True, False])
def test_info_and_verify_know_version_2(command: Command, v1: bool) -> None:
    files = {"a": contents(70_000), "b": b"tiny", "c": b""}

    def mark(torrent: dict[bytes, Any]) -> None:
        torrent[b"info"][b"file tree"][b"b"][b""][b"attr"] = b"x"

    data = generation(files, v1=v1, change=mark)
    Path("t.torrent").write_bytes(data)
    facts = json.loads(command("info", "t.torrent", "--json").out)
    info = bencode.encode(bencode.decode(data)[b"info"])
    assert facts["info_hash_v2"] == hashlib.sha256(info).hexdigest()
    assert facts["info_hash"] == (
        hashlib.sha1(info).hexdigest() if v1 else facts["info_hash_v2"][:40]
    )
    assert facts["versions"] == ([1, 2] if v1 else [2])
    assert facts["size"] == 70_004
    assert [(f["index"], f["path"], f.get("attr")) for f in facts["files"]] == [
        (0, "t/a", None), (1, "t/b", "x"), (2, "t/c", None),
    ]  # fmt: skip
    assert facts["files"][1]["root"] == hashlib.sha256(b"tiny").hexdigest()
    shown = command("info", "t.torrent").out
    for each in (facts["info_hash_v2"], facts["files"][0]["root"], "[x]"):
        assert each in shown
    Path("t").mkdir()
    for name, content in files.items():
        (Path("t") / name).write_bytes(content)
    assert command("verify", "t.torrent", "--data", "t").code == 0
    (Path("t") / "a").write_bytes(contents(70_000, 1))
    ended = command("verify", "t.torrent", "--data", "t")
    assert ended.out == "damaged\tt/a\n"
    assert "1 of 3 files" in ended.err


def test_verify_needs_the_layers_of_version_2(command: Command) -> None:
    files = {"a": contents(70_000)}
    data = generation(files, change=lambda torrent: torrent.pop(b"piece layers"))
    Path("a.torrent").write_bytes(data)
    Path("a").write_bytes(files["a"])
    ended = command("verify", "a.torrent", "--data", "a")
    assert (ended.code, ended.out) == (Exit.BAD_TORRENT, "")
    assert "lacks piece layers" in ended.err


def test_info_shows_hostile_words_harmless(command: Command) -> None:
    Path("x.torrent").write_bytes(hostile(b"x", comment=b"\x1b[2J[bold]", announce=b"http://\x07/"))
    shown = command("info", "x.torrent")
    assert shown.code == 0
    assert "\x1b" not in shown.out
    assert "\x07" not in shown.out
    assert "[bold]" in shown.out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "x.torrent: "),
        (b"not bencode", "x.torrent: "),
        (b"d4:infod4:name1:xee", "piece length is missing"),
        (hostile(b"../../x"), "info.name"),
        (hostile(b"\x1b[2J"), "control character"),
    ],
)
@pytest.mark.parametrize("name", ["info", "seed", "get", "verify"])
def test_a_bad_torrent_is_three_and_one_line(
    command: Command, name: str, content: bytes, said: str
) -> None:
    Path("x.torrent").write_bytes(content)
    data = ["--data", "."] if name in ("seed", "verify") else []
    ended = command(name, "x.torrent", *data)
    assert (ended.code, ended.out) == (3, "")
    assert said in ended.err
    assert ended.err.count("\n") == 1
    assert "\x1b" not in ended.err


@pytest.mark.parametrize("name", ["nosuch.torrent", ".", "magnet:?xt=urn:btih:x"])
def test_no_torrent_at_all_is_three_too(command: Command, name: str) -> None:
    for arguments in (["info", name], ["get", name]):
        ended = command(*arguments)
        assert (ended.code, ended.err.count("\n")) == (3, 1)


@pytest.mark.parametrize("data", ["photos", "."])
def test_verify_accepts_the_root_or_what_holds_it(
    command: Command, torrent: Path, data: str
) -> None:
    good = command("verify", torrent, "--data", data)
    assert (good.code, good.out) == (0, f"{data}\n")


def test_verify_accepts_another_name(command: Command, photos: Path, torrent: Path) -> None:
    photos.rename("pictures")
    assert command("verify", torrent, "--data", "pictures").code == 0


def test_verify_of_a_single_file(command: Command, photos: Path) -> None:
    assert command("create", photos / "b.jpg").code == 0
    for data in (photos / "b.jpg", photos):
        assert command("verify", "b.jpg.torrent", "--data", data).code == 0
    (photos / "b.jpg").write_bytes(b"c" * 100)
    bad = command("verify", "b.jpg.torrent", "--data", photos)
    assert (bad.code, bad.out) == (5, "damaged\tb.jpg\n")


def test_verify_names_what_is_wrong(command: Command, photos: Path, torrent: Path) -> None:
    with (photos / "2024/a.jpg").open("r+b") as file:
        file.seek(PIECE)
        file.write(b"damaged")
    (photos / "empty").unlink()
    with (photos / "c.jpg").open("ab") as file:
        file.write(b"more")
    bad = command("verify", torrent, "--data", photos, "--quiet")
    assert bad.code == 5
    assert sorted(bad.out.splitlines()) == [
        "damaged\tphotos/2024/a.jpg", "longer\tphotos/c.jpg", "missing\tphotos/empty",
    ]  # fmt: skip
    assert bad.err.startswith("p2pswarm: 3 of 4 files not as in the torrent (")
    assert bad.err.count("\n") == 1


def test_verify_blames_the_missing_file_for_a_shared_piece(
    command: Command, photos: Path, torrent: Path
) -> None:
    (photos / "b.jpg").unlink()
    bad = command("verify", torrent, "--data", photos, "--json")
    events = [json.loads(line) for line in bad.out.splitlines()]
    assert [event["path"] for event in events if event["event"] == "result"] == ["photos/b.jpg"]
    assert events[-1] == {
        "event": "error",
        "time": events[-1]["time"],
        "text": "1 of 4 files not as in the torrent (1 missing)",
        "exit": 5,
    }


def test_verify_of_no_data_lists_a_few_and_counts_all(command: Command) -> None:
    for number in range(30):
        path = Path("many") / f"{number}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    assert command("create", "many").code == 0
    bad = command("verify", "many.torrent", "--data", "elsewhere")
    assert bad.code == 5
    assert len(bad.out.splitlines()) == 20
    assert bad.err.splitlines()[-1] == (
        "p2pswarm: 30 of 30 files not as in the torrent (30 missing); --json lists 10 more"
    )


def test_an_option_may_come_from_the_environment_or_the_file(
    command: Command, photos: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "home/p2pswarm").mkdir(parents=True)
    (tmp_path / "home/p2pswarm/config.toml").write_text("quiet = true\ncomment = 'from the file'\n")
    monkeypatch.setenv("P2PSWARM_PRIVATE", "1")
    made = command("create", photos)
    assert (made.code, made.err) == (0, "")
    facts = json.loads(command("info", "photos.torrent", "--json").out)
    assert (facts["comment"], facts["private"]) == ("from the file", True)


def test_a_wrong_configuration_file_is_wrong_usage(command: Command, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("prot = 1\n")
    ended = command("info", "x.torrent", "--config", tmp_path / "x.toml")
    assert ended.code == 2
    assert (
        ended.err
        == f"p2pswarm: {tmp_path}/x.toml: there is no option 'prot', did you mean 'port'?\n"
    )
