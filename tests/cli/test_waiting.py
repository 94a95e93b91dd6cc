"""Real programs: somebody is called who is not there, gives up, is called again, and comes home."""

from contextlib import ExitStack
from pathlib import Path

from p2pswarm.cli.exits import Exit
from tests.support.processes import Program, program


class Street:
    """A login service, a super node, and people who know them."""

    def __init__(self, home: Path, stack: ExitStack) -> None:
        self._home, self._stack, self._env = home, stack, dict[str, str]()
        (home / "nothing").mkdir()
        login = self.starts("login", "--port", 0, "--login", home / "names", module="tracker")
        self._env["P2PSWARM_LOGIN"] = login.wait_for_line(3)
        words = "--supernode-role", "super", "--on", "supernode"
        place = self.starts("super", "share", home / "nothing", *words)
        port = place.wait_for("offering")["port"]
        self._env["P2PSWARM_CONNECT"] = f"127.0.0.1:{port}"

    def starts(self, who: str, *words: object, module: str = "p2pswarm") -> Program:
        words = words if module == "tracker" else (*words, "--bind", "127.0.0.1", "--json")
        starting = program(self._home / who, *words, module=module, env=self._env)
        return self._stack.enter_context(starting)


def test_who_comes_home_is_called_at_once(tmp_path: Path) -> None:
    with ExitStack() as stack:
        street = Street(tmp_path, stack)
        for name in ("alice", "bob"):
            registering = street.starts(name, "register", name)
            assert registering.wait() == Exit.OK, registering.stderr
        once = street.starts("bob", "answer", "--no-audio")
        once.wait_for("callable")
        assert street.starts("bob", "whois", "bob").wait() == Exit.OK  # beside it, and found
        assert street.starts("bob", "answer").wait() == Exit.ERROR
        once.stop()
        calling = street.starts("alice", "call", "bob", "--no-audio")
        assert calling.wait() == Exit.NO_PEERS
        assert "p2pswarm message bob TEXT" in calling.stderr
        waiting = street.starts("alice", "call", "bob", "--no-audio", "--wait-for", "90s")
        waiting.wait_for("waiting")
        there = street.starts("bob", "answer", "--no-audio")
        there.wait_for("hung_up")
        assert there.latest("answered")["name"] == "alice"
        assert waiting.wait() == Exit.OK  # nothing is typed there, so it hangs up
        assert there.stop() == Exit.OK
