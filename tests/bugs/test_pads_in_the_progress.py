"""Found by a newcomer: `create` and `verify` counted the zeros between the files of a hybrid as bytes,
and said the last line of their progress over and over."""

import json
from pathlib import Path

import pytest

from p2pswarm.cli.app import run


@pytest.mark.parametrize("generation", ["--v1", "--hybrid", "--v2"])
def test_progress_is_of_files_and_ends_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    generation: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t").mkdir()
    for name in "abcde":
        Path("t", name).write_bytes(bytes(1000))
    for arguments in (["create", "t", generation], ["verify", "t.torrent", "--data", "t"]):
        assert run([*arguments, "--json"]) == 0
        told = map(json.loads, capfd.readouterr().out.splitlines())
        seen = [(each["done"], each["total"]) for each in told if each["event"] == "status"]
        assert seen[-1] == (5000, 5000)
        assert seen.count((5000, 5000)) == 1
