"""Commands for people show the options that they obey and no others, and nothing else reaches their nodes."""

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from p2pswarm.cli.exits import Exit
from p2pswarm.cli.flags import as_command
from p2pswarm.cli.obeying import Answering, Giving, Here, Outgoing, Visiting
from p2pswarm.config import NetworkSettings, Settings

SHOWN = {"config", "profile", "json", "quiet"}
TALKING = {"in_", "out", "pipe", "audio"}
VISITING = {"connect", "supernodes", "login"}
SERVING = {
    "firewalled", "supernode_role", "children", "links", "rewire", "promote_after", "relay", "relay_rate",
    "relay_total",
}  # fmt: skip
HERE = {"port", "bind", "data_dir"}
GIVING = HERE | {"up_limit", "down_limit", "memory", "disk_threads"}
OPTIONS = {
    ("calling", "call"): TALKING | {"lookup", "wait_for"} | VISITING | HERE,
    ("answering", "answer"): TALKING | {"accept", "save_to"} | VISITING | SERVING | GIVING,
    ("sending", "send"): {"timeout"} | VISITING | GIVING,
    ("sending", "message"): VISITING | HERE,
    ("whois", "whois"): {"lookup"} | VISITING | HERE,
    ("registering", "register"): {"login", "password", "revoke", "bind", "data_dir"},
}


@pytest.mark.parametrize(("room", "name"), OPTIONS)
def test_a_command_for_people_shows_what_it_obeys(room: str, name: str) -> None:
    command = as_command(getattr(import_module(f"p2pswarm.cli.{room}"), name))
    options = {each.name for each in command.params if each.param_type_name == "option"}
    assert options == SHOWN | OPTIONS[room, name]


def test_what_a_command_does_not_obey_is_as_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    got: list[tuple[Settings, NetworkSettings]] = []

    def one(settings: Here, networks: Visiting) -> Exit:
        got.append((settings, networks))
        return Exit.OK

    config = tmp_path / "config.toml"
    config.write_text('dht = true\nport = 7\nup_limit = "1MiB/s"\nflood = true\n')
    monkeypatch.setenv("P2PSWARM_LSD", "1")
    monkeypatch.setenv("P2PSWARM_SUPERNODE_ROLE", "super")
    monkeypatch.setenv("P2PSWARM_BIND", "127.0.0.1")
    as_command(one).main(["--config", str(config)], standalone_mode=False)
    quiet = replace(Settings(), dht=False, lsd=False, pex=False, web_seeds=False)
    assert got == [
        (
            replace(quiet, port=7, bind="127.0.0.1"),
            NetworkSettings(supernode_role="ordinary"),
        )
    ]


@pytest.mark.parametrize("kind", [Outgoing, Here, Giving, Visiting, Answering])
def test_every_field_that_is_named_is_one(kind: Callable[..., object]) -> None:
    (only,) = kind.__metadata__  # type: ignore[attr-defined]
    assert {field.name for field in only.of(kind.__origin__)} == set(only.names)  # type: ignore[attr-defined]
    kind.__origin__(**only.fixed)  # type: ignore[attr-defined]
