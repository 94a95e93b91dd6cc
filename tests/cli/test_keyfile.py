"""Files with the secret of a key."""

from pathlib import Path

import pytest

from p2pswarm.cli.exits import UsageError
from p2pswarm.cli.keyfile import key_in
from tests.cli.conftest import Command


def test_a_new_key_is_kept_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "key"
    key = key_in(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text() == f"{key.seed.hex()}\n"
    assert key_in(path).public == key.public


@pytest.mark.parametrize(
    "text", ["", "00" * 31, "00" * 33, "00" * 32 + " x", "0x" + "00" * 31, "é"]
)
def test_another_file_is_no_key_and_stays_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key"
    path.write_text(text)
    with pytest.raises(UsageError, match="is no key"):
        key_in(path)
    assert path.read_text() == text


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        key_in(tmp_path / "no" / "key")


def test_who_has_a_key_that_others_can_read_is_told(command: Command) -> None:
    key = Path("my.key")
    key_in(key)
    assert "others can read" not in command("publish", key, "nothing", "--port", 0).err
    key.chmod(0o640)
    ended = command("publish", key, "nothing", "--port", 0)
    assert "others can read my.key" in ended.err
    assert key.read_text().strip() not in ended.err
