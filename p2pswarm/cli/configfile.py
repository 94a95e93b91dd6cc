"""The configuration file: flat TOML, one key per option, none that no option knows.

It is `--config`, else `P2PSWARM_CONFIG`, else `$XDG_CONFIG_HOME/p2pswarm/config.toml` where that exists:

    port = 46900
    up_limit = "2MiB/s"
    seed_for = "30m"

A profile is a table of the same keys under a name; `--profile music` puts them in front of the file's own:

    [profile.music]
    exclude = ["*.nfo", "*.m3u"]
    private = true
"""

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import platformdirs

from p2pswarm.cli.exits import UsageError
from p2pswarm.cli.options import TABLES
from p2pswarm.config import FLAG, unit_of

__all__ = ["read_config"]

Options = dict[str, Any]

_LONGEST = 1 << 20  # bytes of a file; a device has no end


def read_config(path: str | None, profile: str | None = None) -> tuple[Options, Options]:
    """What the file says, and what its profile of this name does. Raises UsageError.

    Both are checked: texts, booleans and lists of texts by option name; so are the other profiles.
    """
    where = Path(path).expanduser() if path else _default_path()
    content = _parse(where) if path or where.is_file() else {}
    profiles = content.pop("profile", {})
    if not isinstance(profiles, dict) or not all(isinstance(p, dict) for p in profiles.values()):
        raise UsageError(f"{where}: a profile is a table, such as [profile.music]")
    known = {field.name.rstrip("_"): field for table in TABLES for field in fields(table)}
    own = _checked_all(f"{where}", content, known)
    named = {
        name: _checked_all(f"{where}: [profile.{name}]", options, known)
        for name, options in profiles.items()
    }
    if profile is not None and profile not in named:
        raise UsageError(f"{where}: there is no profile {profile!r}{_nearest(profile, named)}")
    return own, named[profile] if profile is not None else {}


def _default_path() -> Path:
    return platformdirs.user_config_path("p2pswarm") / "config.toml"


def _parse(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(_LONGEST + 1)
        if len(data) > _LONGEST:
            raise UsageError(f"{path}: longer than {_LONGEST >> 20} MiB, which no configuration is")
        return tomllib.loads(data.decode())
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # not TOML, not UTF-8, lists in lists without end
        raise UsageError(f"{path}: {error}") from error


def _checked_all(where: str, content: Options, known: Mapping[str, Field[Any]]) -> Options:
    checked = {key: _checked(where, key, value, known) for key, value in content.items()}
    return {known[key].name: value for key, value in checked.items()}


def _checked(where: str, key: str, value: object, known: Mapping[str, Field[Any]]) -> Any:
    if key not in known:
        raise UsageError(f"{where}: there is no option {key!r}{_nearest(key, known)}")
    field = known[key]
    try:
        return _typed(field, value)
    except ValueError as error:
        raise UsageError(f"{where}: {key}: {error}") from error


def _nearest(key: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(key, known, 1)
    return f", did you mean {near[0]!r}?" if near else ""


def _typed(field: Field[Any], value: object) -> Any:
    """The value as `flags.py` takes it. Raises ValueError where its TOML type or its text is wrong."""
    unit = unit_of(field.metadata)
    if unit is FLAG:
        if not isinstance(value, bool):
            raise ValueError("write true or false")
        return value
    if field.metadata.get("repeat"):
        return [_text(field, each) for each in (value if isinstance(value, list) else [value])]
    return _text(field, value)


def _text(field: Field[Any], value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"write {unit_of(field.metadata).metavar} as text or number")  # noqa: TRY004
    unit_of(field.metadata).read(str(value))
    return str(value)
