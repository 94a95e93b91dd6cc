"""People in the laboratory: a login service, super nodes, and users behind routers, each a real program."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from tests.nat.world import Host, World
from tests.support.foreign import until
from tests.support.processes import Program, program

__all__ = ["PORT", "Town", "User"]

PORT, LOGIN_PORT = 46881, 6969


class User:
    """Somebody on a host of his own, registered under a name."""

    def __init__(self, town: "Town", name: str, kind: str) -> None:
        self._town, self.name = town, name
        self.host = town.lab.host(kind)
        self.home = town.home / name

    def register(self) -> None:
        with self._town.started(self.name, self.host, "register", self.name) as running:
            assert running.wait() == 0, running.stderr

    def runs(self, *words: object) -> AbstractContextManager[Program]:
        """One program at a time has the user's key."""
        return self._town.started(self.name, self.host, *words, "--json")

    @contextmanager
    def answers(self, *words: object, to: "User") -> Iterator[Program]:
        """Can be called by that one, from when it is there."""
        with self.runs("answer", *words) as running:
            running.wait_for("listening")
            until(lambda: to.finds(self.name), f"{self.name} is in the directory")
            yield running

    def finds(self, name: str) -> bool:
        with self.runs("whois", name) as asking:
            return asking.wait() == 0


class Town:
    """The login service and super nodes, with public addresses."""

    def __init__(
        self, home: Path, lab: World, stack: ExitStack, *super_words: str, supers: int = 3
    ) -> None:
        """`super_words` are options of its super nodes."""
        self.home, self.lab, self._super_words = home, lab, super_words
        self._service = lab.host()
        self._supers = [lab.host() for _ in range(supers)]
        self._url = ""
        self.login = stack.enter_context(self._names())
        self._url = self.login.wait_for_line(3)  # with the fingerprint, as it is not https
        self.supers = {
            host.public: stack.enter_context(self._serves(number, host))
            for number, host in enumerate(self._supers)
        }
        for each in self.supers.values():
            each.wait_for("network", role="super", links=supers - 1)

    def users(self, names_and_kinds: dict[str, str]) -> dict[str, User]:
        """All registered."""
        users = {name: User(self, name, kind) for name, kind in names_and_kinds.items()}
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(User.register, users.values()))
        return users

    @property
    def rendezvous(self) -> str:
        """Where codes are given and asked for: the login service is a tracker, too."""
        return self._url.partition("#")[0]

    @property
    def relayed(self) -> int:
        """Bytes that its super nodes say they carried so far."""
        return sum(each.latest("people").get("relayed", 0) for each in self.supers.values())

    def silence(self, super_node: str) -> None:
        """It has gone without a word, as a machine whose cable was pulled."""
        (host,) = [each for each in self._supers if each.public == super_node.rpartition(":")[0]]
        self.lab.silence(host)

    def _names(self) -> AbstractContextManager[Program]:
        where = ("--host", "any", "--port", LOGIN_PORT, "--login", self.home / "login" / "names")
        return self.started("login", self._service, *where, module="tracker")

    def _serves(self, number: int, host: Host) -> AbstractContextManager[Program]:
        nothing = self.home / f"nothing {number}"
        nothing.mkdir()
        words = ("share", nothing, "--port", PORT, "--json", *self._super_words)
        return self.started(f"super {number}", host, *words)

    @contextmanager
    def started(
        self, name: str, host: Host, *words: object, module: str = "p2pswarm"
    ) -> Iterator[Program]:
        places = ",".join(f"{each.public}:{PORT}" for each in self._supers)
        env = {
            "P2PSWARM_SUPERNODES": places,
            "P2PSWARM_LOGIN": self._url,
            "P2PSWARM_ON": "supernode",
        }
        with ExitStack() as stack:
            with host.inside():
                started = program(self.home / name, *words, module=module, env=env)
                running = stack.enter_context(started)
            yield running
