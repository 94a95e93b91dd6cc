"""publish, follow and feed as a person types them."""

import json
import os
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from p2pswarm.disk.feeds import FeedFile
from p2pswarm.formats.feed_link import FeedLink
from p2pswarm.swarm.feed_newest import Newest
from tests.cli.conftest import Command
from tests.support.feeds import Publisher
from tests.support.foreign import until
from tests.support.foreign_dht import LibtorrentDht
from tests.support.processes import Program, program

HERE = ("--bind", "127.0.0.1", "--port", "0", "--json")


@pytest.fixture
def photos() -> Path:
    folder = Path("photos")
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(os.urandom(300_000))
    return folder


def publish(stack: ExitStack, home: Path, *more: object) -> tuple[Program, str]:
    """A publisher at work, and where it is."""
    running = stack.enter_context(program(home, "publish", "my.key", "photos", *HERE, *more))
    running.wait_for("result")
    return running, f"127.0.0.1:{running.wait_for('listening')['port']}"


def test_a_folder_is_published_followed_and_looked_back_at(
    tmp_path: Path, photos: Path, command: Command
) -> None:
    with ExitStack() as stack:
        publisher, address = publish(stack, tmp_path / "alice")
        said = publisher.wait_for("result")
        assert (said["sequence"], said["size"], len(said["v2"])) == (1, 900_000, 64)
        key = Path("my.key")
        assert key.stat().st_mode & 0o077 == 0
        assert key.read_text().strip() not in json.dumps(said) + publisher.stderr
        follower = stack.enter_context(
            program(tmp_path / "bob", "follow", said["link"], *HERE, "-o", "out", "--peer", address)
        )
        first = follower.wait_for("result", sequence=1)
        assert first["path"] == "out/1/photos"
        assert publisher.stop(signal.SIGINT) == 0
        (photos / "1.jpg").write_bytes(os.urandom(300_000))
        here = follower.wait_for("listening")["port"]
        publisher, address = publish(stack, tmp_path / "alice", "--peer", f"127.0.0.1:{here}")
        assert publisher.wait_for("result")["sequence"] == 2
        follower.wait_for("result", sequence=2)
        assert follower.stop(signal.SIGINT) == 0
        for path in photos.iterdir():
            assert Path("out/latest/photos", path.name).read_bytes() == path.read_bytes()
        ran = command("feed", said["link"], "--peer", address, "--port", "0")
        assert ran.code == 0, ran.err
        lines = [line.split("\t") for line in ran.out.splitlines()]
        assert [(number, name) for number, *_, name in lines] == [("1", "photos"), ("2", "photos")]
        assert publisher.stop(signal.SIGINT) == 0
        (photos / "2.jpg").write_bytes(os.urandom(300_000))
        publisher, address = publish(stack, tmp_path / "alice")
        once = ("follow", said["link"], *HERE, "-o", "out", "--peer", address, "--once")
        follower = stack.enter_context(program(tmp_path / "bob", *once))
        assert follower.wait_for("result")["sequence"] == 3  # not 2, which it knew before
        assert follower.wait() == 0


@pytest.mark.parametrize(
    "link", ["magnet:?xt=urn:btih:" + "0" * 40, "0" * 63, "magnet:?xs=urn:btpk:1"]
)
def test_a_link_that_names_no_feed_is_refused(command: Command, link: str) -> None:
    for name in ("follow", "feed"):
        ran = command(name, link)
        assert ran.code == 2
        assert len(ran.err.splitlines()) == 1


def test_a_feed_that_nobody_knows_is_given_up(command: Command) -> None:
    for name in ("follow", "feed"):
        ran = command(name, "0" * 64, "--timeout", "0.1s", "--port", "0", "--quiet")
        assert (ran.code, ran.err) == (4, "p2pswarm: nobody knows a release of this feed\n")


def test_nothing_is_signed_of_what_is_not_there(command: Command) -> None:
    ran = command("publish", "my.key", "nowhere", "--quiet")
    assert ran.code == 1
    assert "nowhere" in ran.err
    assert not Path("my.key.feed").exists()


def test_a_key_that_may_have_lost_its_log_is_told_of(command: Command) -> None:
    said = "my.key.feed is missing: if this key published before, end this and bring it back"
    assert said not in command("publish", "my.key", "nowhere").err
    assert said in command("publish", "my.key", "nowhere").err
    Path("my.key.feed").touch()
    assert said not in command("publish", "my.key", "nowhere").err


def test_a_log_beside_the_key_that_is_damaged_ends_publishing(
    command: Command, photos: Path
) -> None:
    Path("my.key.feed").write_bytes(b"junk")
    ran = command("publish", "my.key", photos, "--port", "0", "--quiet")
    assert ran.code == 3
    assert "my.key.feed" in ran.err
    assert Path("my.key.feed").read_bytes() == b"junk"


def test_a_link_with_a_salt_names_another_feed(tmp_path: Path, photos: Path) -> None:
    with ExitStack() as stack:
        publisher, _ = publish(stack, tmp_path / "alice", "--salt", "holiday")
        link = FeedLink.parse(publisher.wait_for("result")["link"])
        assert link.feed.salt == b"holiday"
        assert Path("my.key." + b"holiday".hex() + ".feed").exists()


def test_a_publisher_who_told_two_stories_is_not_followed(command: Command) -> None:
    alice = Publisher(1)
    log = alice.log(2)
    log.add(alice.entry(what="another"))
    name = alice.name
    FeedFile(Path("data/feeds", f"{name.info_hash}.feed")).write(Newest(log).encode())
    for verb in ("follow", "feed"):
        ran = command(
            verb, FeedLink(name), "--data-dir", "data", "--port", "0", "--timeout", "0.2s"
        )
        assert ran.code == 5
        assert "release 1 was signed twice" in ran.err
        assert len(ran.out.splitlines()) == (2 if verb == "feed" else 0)
    assert command("publish", "other.key", ".", "--salt", "x" * 65).code == 2


def test_the_dht_alone_leads_to_a_release(tmp_path: Path, photos: Path) -> None:
    """libtorrent is the DHT, and reads what BEP 46 says of the item."""
    node = LibtorrentDht()
    dht = ("--dht", "--dht-bootstrap", node.address)
    with ExitStack() as stack:
        publisher, _ = publish(stack, tmp_path / "alice", "--salt", "x", *dht)
        said = publisher.wait_for("result")
        home = tmp_path / "bob"
        follow = ("follow", said["link"], *HERE, *dht, "-o", "out", "--once")
        follower = stack.enter_context(program(home, *follow))
        follower.wait_for("result", sequence=1)
        assert follower.wait() == 0
        feed = FeedLink.parse(said["link"]).feed
        item = {b"ih": bytes.fromhex(said["info_hash"])}, 1
        until(lambda: node.get_of(feed.key, feed.salt) == item, "the item of the release")
    assert (Path("out/1/photos/0.jpg")).read_bytes() == (photos / "0.jpg").read_bytes()
