"""The image by itself: who runs it, how it stops, what its health check sees."""

from pathlib import Path

import pytest

from tests.containers.conftest import Containers, Swarms
from tests.containers.swarm import Container, docker, until_all
from tests.support.foreign import until

pytestmark = pytest.mark.containers

STOPPING = 8.0  # seconds: three are promised, on a machine that has time; after ten Docker kills
HARDENED = ("--read-only", "--user", "12345:23456", "--cap-drop", "ALL", "--network", "none")
CREATE = "p2pswarm create /share --output /downloads/x.torrent --quiet >/dev/null && exec "
SEED = CREATE + "p2pswarm seed /downloads/x.torrent --data /share"
GET = CREATE + "p2pswarm get /downloads/x.torrent --json"


def is_well(one: Container) -> bool:
    return one.look("{{.State.Health.Status}}") == "healthy"


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("p2pswarm-tracker",), 0),
        (("sh", "-c", SEED), 0),
        (("sh", "-c", GET), 130),
    ],
    ids=["tracker", "seed", "get"],
)
@pytest.mark.parametrize("init", [(), ("--init",)], ids=["as process 1", "under an init"])
def test_any_user_on_a_read_only_system_and_a_quick_end(
    containers: Containers, image: str, share: Path, command: tuple[str, ...], code: int,
    init: tuple[str, ...],
) -> None:  # fmt: skip
    folders = ("--tmpfs", "/downloads:mode=1777", "--tmpfs", "/config:mode=1777")
    one = containers(
        *HARDENED, *folders, *init, "--health-interval", "1s", "--volume", f"{share}:/share:ro",
        image, *command,
    )  # fmt: skip
    until(lambda: is_well(one), "it is well")
    took, ended_with = one.stop()
    assert took < STOPPING
    assert ended_with == code


def test_hashing_ends_when_told_as_process_1(containers: Containers, image: str) -> None:
    hole = "truncate -s 100G hole && exec p2pswarm create hole --output x.torrent --json"
    one = containers(image, "sh", "-c", hole)
    until(lambda: bool(one.told("status")), "it hashes")
    took, code = one.stop()
    assert took < STOPPING
    assert code == 130


@pytest.mark.parametrize(
    "command", [("p2pswarm-tracker",), ("sh", "-c", SEED)], ids=["tracker", "node"]
)
def test_what_hangs_is_not_well(
    containers: Containers, image: str, share: Path, command: tuple[str, ...]
) -> None:
    one = containers(
        "--health-interval", "1s", "--health-retries", "1", "--health-start-period", "0s",
        "--volume", f"{share}:/share:ro", image, *command,
    )  # fmt: skip
    until(lambda: is_well(one), "it is well")
    one.kill("STOP")
    until(lambda: one.look("{{.State.Health.Status}}") == "unhealthy", "it is seen")
    assert "is stuck" in one.look("{{json .State.Health.Log}}")


def test_a_dead_name_server_does_not_hold_the_end(
    containers: Containers, image: str, share: Path
) -> None:
    """192.0.2.1 (TEST-NET-1) is nobody, so the question is never answered."""
    with_tracker = SEED.replace("--output", "--tracker http://nowhere.example/announce --output")
    one = containers(
        "--dns", "192.0.2.1", "--volume", f"{share}:/share:ro", "--health-interval", "1s",
        image, "sh", "-c", with_tracker,
    )  # fmt: skip
    until(lambda: is_well(one), "it is well")
    took, code = one.stop()
    assert took < STOPPING
    assert code == 0


def test_a_swarm_of_another_size_goes_on_with_its_volumes(swarms: Swarms, share: Path) -> None:
    """After `down` and `up` every peer finds its folder again; a new file makes a new torrent."""
    swarm = swarms(USER="4321:4321")
    swarm.up(peers=2)
    until_all(swarm.peers)
    swarm.compose("down")
    swarm.up(peers=5)
    until_all(swarm.peers)
    assert sorted(bool(peer.pieces()) for peer in swarm.peers) == [False] * 2 + [True] * 3
    swarm.compose("down")
    (share / "new").write_bytes(b"new")
    swarm.up(peers=2)
    until_all(swarm.peers)
    expected = swarm.shared()
    assert "./new" in expected
    assert [peer.checksums() for peer in swarm.peers] == [expected] * 2


def test_the_image_says_what_it_is(image: str) -> None:
    assert docker("run", "--rm", image, "p2pswarm", "--version") == "p2pswarm 0.1.0"
    assert docker("run", "--rm", image, "id", "-u") == "1000"
    labels = docker("inspect", "--format", "{{json .Config.Labels}}", image)
    assert '"org.opencontainers.image.title":"p2pswarm"' in labels


def test_the_image_can_hash_tiger_trees(image: str) -> None:
    ask = "from p2pswarm.formats.tiger import available; print(available())"
    assert docker("run", "--rm", image, "python", "-c", ask) == "True"


def test_it_has_the_libraries_that_python_does_not_bring(
    containers: Containers, image: str
) -> None:
    code = "import opuslib_next; from p2pswarm.formats.tiger import tiger; tiger(b'')"
    one = containers("--network", "none", image, "python3", "-c", code)
    until(lambda: not one.is_running(), "it ends")
    assert one.look("{{.State.ExitCode}}") == "0"
