"""Found by a newcomer: `verify` was content with a folder whose symbolic links (BEP 47) were gone, or led
elsewhere: they have no bytes that could be hashed."""

from pathlib import Path

import pytest

from p2pswarm.cli.app import run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = Path("t")
    (folder / "in").mkdir(parents=True)
    (folder / "a").write_bytes(b"a")
    (folder / "in/link").symlink_to(".././a")
    assert run(["create", "t", "--hybrid", "--keep-symlinks"]) == 0
    return folder


@pytest.mark.parametrize("name", ["t", "under another name"])
def test_a_link_is_right_however_its_text_is_spelled(folder: Path, name: str) -> None:
    folder.rename(name)
    assert run(["verify", "t.torrent", "--data", name]) == 0


def test_a_link_that_is_gone_is_missing(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "in/link").unlink()
    assert run(["verify", "t.torrent", "--data", "t"]) == 5
    assert "missing\tt/in/link\n" in capfd.readouterr().out


@pytest.mark.parametrize("target", ["/etc/passwd", "link", "../b", None])
def test_a_link_that_leads_elsewhere_is_damaged(
    folder: Path, target: str | None, capfd: pytest.CaptureFixture[str]
) -> None:
    link = folder / "in/link"
    link.unlink()
    if target is None:
        link.write_bytes(b"a")
    else:
        link.symlink_to(target)
    assert run(["verify", "t.torrent", "--data", "t"]) == 5
    assert "damaged\tt/in/link\n" in capfd.readouterr().out
