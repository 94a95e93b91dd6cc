"""One table for every option: the fields of the options classes become flags, variables and TOML keys.

A command is an ordinary function. Where a parameter's type is an options class (`Settings`, `Download`, …),
`as_command` makes one flag per field instead, and calls the function with a finished object:

    def seed(torrent: TorrentArgument, progress: Progress, settings: Settings) -> Exit: ...

The field `up_limit` is the flag `--up-limit`, the variable `P2PSWARM_UP_LIMIT` and the TOML key `up_limit`;
the flag wins over the variable, the variable over the profile, that over the rest of the file, the file over
the default. Click only carries texts; units turn them into values here, so all three sources have one set of
words and errors.

What a field's metadata may say besides unit and help: `short` (a one-letter flag), `repeat` (may be given
several times; the value is a tuple), `commas` (and one text may name several), `instead_of` (the name of a
group of which one may be chosen), `shown` (the default in words), `secret` (no flag holds it, because
everybody on the machine sees those: the flag `--X-file` and the variable `P2PSWARM_X_FILE` name a file with
it; `P2PSWARM_X` and the TOML key hold it), `asked` (no flag holds it either: `--X` has this function ask the
person for it). A field without a default is a required option.

A command that obeys a part of an options class says so: `Annotated[Settings, Only("port", ...)]`
(`cli/obeying.py`). The other fields have no flags there, and variables and files do not set them.
"""

import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self, get_args, get_origin, get_type_hints

import click

from p2pswarm.cli.configfile import read_config
from p2pswarm.cli.exits import Exit, UsageError
from p2pswarm.cli.obeying import Only
from p2pswarm.cli.options import Argument
from p2pswarm.config import FLAG, TEXT, help_of, unit_of

__all__ = ["as_command"]

Given = tuple[int, Any]  # how strong its source is, and the value
_CONFIG, _PROFILE, _ENVIRONMENT, _COMMAND_LINE = 1, 2, 3, 4
_LONGEST_SECRET = 1000  # characters


class _Table(NamedTuple):
    """An options class, as a command takes it."""

    make: Callable[..., Any]
    fields: Sequence[Field[Any]]

    @classmethod
    def of(cls, hint: Any) -> Self | None:
        """None for what is no options class."""
        words = get_args(hint)
        table: Callable[..., Any] = words[0] if words else hint
        if not is_dataclass(table):
            return None
        for only in words[1:]:
            if isinstance(only, Only):
                return cls(partial(table, **only.fixed), only.of(table))
        return cls(table, fields(table))


def _config_flag() -> click.Option:
    return click.Option(
        ["--config"],
        metavar="PATH",
        envvar="P2PSWARM_CONFIG",
        show_envvar=True,
        help="read options from this TOML file  [default: $XDG_CONFIG_HOME/p2pswarm/config.toml]",
    )


def _profile_flag() -> click.Option:
    return click.Option(
        ["--profile"],
        metavar="NAME",
        envvar="P2PSWARM_PROFILE",
        show_envvar=True,
        help="use the options under [profile.NAME] of the TOML file, too",
    )


def as_command(command: Callable[..., Exit], example: str = "") -> click.Command:
    """The command as click shall see it: its arguments, and one option per field of its options classes."""
    hints = get_type_hints(command, include_extras=True)
    made = {name: _Table.of(hint) for name, hint in hints.items()}
    tables = {name: table for name, table in made.items() if table is not None}
    options = [field for table in tables.values() for field in table.fields]
    arguments = {
        name: get_args(hint)
        for name, hint in hints.items()
        if name not in tables and get_args(hint)
    }

    def run(config: str | None, profile: str | None, **raw: Any) -> Exit:
        flags = {name: value for name, value in raw.items() if name not in arguments}
        files = read_config(config, profile)
        given = _given(click.get_current_context(), flags, *files)
        _read_secrets(given, options)
        _only_one(given, options)
        values = {name: _build(table, given) for name, table in tables.items()}
        named = {name: _argument(raw[name], *how) for name, how in arguments.items()}
        return command(**values, **named)

    shown = [_shown(name, *how) for name, how in arguments.items()]
    return click.Command(
        command.__name__,
        callback=run,
        params=[*shown, *map(_option, options), _config_flag(), _profile_flag()],
        help=inspect.getdoc(command),
        epilog=f"Example: {example}" if example else None,
    )


def _shown(name: str, kind: Any, told: Argument) -> click.Argument:
    several = get_origin(kind) is list
    return click.Argument(
        [name],
        nargs=-1 if several else 1,
        required=told.required,
        metavar=told.metavar,
        help=told.help,
    )


def _argument(raw: Any, kind: Callable[[Any], Any], told: Argument) -> Any:
    """What was typed, as the command wants it."""
    texts = [raw] if isinstance(raw, str) else raw or ()
    if told.required and "" in texts:  # of a variable not set; as a path it would be this folder
        raise UsageError(f"{told.metavar} is empty")
    try:
        return kind(map(TEXT.read, texts) if told.is_words else raw or "")
    except ValueError as error:
        raise UsageError(f"{told.metavar}: {error}") from error


def _option(field: Field[Any]) -> click.Option:
    if "secret" in field.metadata:
        return _file_option(field)
    if "asked" in field.metadata:
        words = f"{help_of(field.metadata)}; {_variable(field)} holds it, too"
        return click.Option([field.name, _flag(field)], is_flag=True, default=None, help=words)
    unit, flag = unit_of(field.metadata), _flag(field)
    names = [field.metadata["short"]] if "short" in field.metadata else []
    names.append(f"{flag}/--no-{flag[2:]}" if unit is FLAG else flag)
    return click.Option(
        [field.name, *names],
        type=bool if unit is FLAG else str,
        default=None,
        multiple=bool(field.metadata.get("repeat")),
        metavar=unit.metavar or None,
        help=help_of(field.metadata) + _shown_default(field),
        envvar=_variable(field),
        show_envvar=True,
    )


def _file_option(field: Field[Any]) -> click.Option:
    """A secret's: the file that holds it."""
    return click.Option(
        [field.name, f"{_flag(field)}-file"],
        metavar="PATH",
        help=f"the first line of this file is {help_of(field.metadata)}; also {_variable(field)}",
        envvar=f"{_variable(field)}_FILE",
        show_envvar=True,
    )


def _variable(field: Field[Any]) -> str:
    return f"P2PSWARM_{_word(field).upper()}"


def _flag(field: Field[Any]) -> str:
    return "--" + _word(field).replace("_", "-")


def _word(field: Field[Any]) -> str:
    """Its name; one that is a word of Python has a `_` behind it, which nobody types."""
    return field.name.rstrip("_")


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _shown_default(field: Field[Any]) -> str:
    if _is_required(field):
        return "  [required]"
    shown = field.metadata.get("shown")
    if shown is None and isinstance(field.default, int | str) and field.default is not False:
        shown = unit_of(field.metadata).show(field.default) if field.default != "" else None
    return f"  [default: {shown}]" if shown else ""


def _given(
    context: click.Context,
    raw: Mapping[str, Any],
    from_file: Mapping[str, Any],
    from_profile: Mapping[str, Any],
) -> dict[str, Given]:
    """The strongest source of each option that any source names."""
    given: dict[str, Given] = {name: (_CONFIG, value) for name, value in from_file.items()}
    given |= {name: (_PROFILE, value) for name, value in from_profile.items()}
    for name, value in raw.items():
        if value is not None and value != ():
            source = context.get_parameter_source(name)
            is_flag = source is not None and source.name == "COMMANDLINE"
            given[name] = (_COMMAND_LINE if is_flag else _ENVIRONMENT, value)
    return given


def _read_secrets(given: dict[str, Given], options: Iterable[Field[Any]]) -> None:
    """The file that was named, or what was typed; else the variable, else the configuration file."""
    for field in options:
        if not {"secret", "asked"} & field.metadata.keys():
            continue
        strength, value = given.get(field.name, (0, None))
        if strength > _PROFILE:
            asked = field.metadata.get("asked")
            given[field.name] = strength, asked() if asked else _first_line(field, str(value))
        elif _variable(field) in os.environ:
            given[field.name] = _ENVIRONMENT, os.environ[_variable(field)]


def _first_line(field: Field[Any], path: str) -> str:
    try:
        with Path(path).open(encoding="utf-8") as file:
            secret = file.readline(_LONGEST_SECRET).rstrip("\r\n")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise UsageError(f"{_flag(field)}-file: {path}: {reason}") from error
    if not secret:  # as if nothing had been said, which is not what was meant
        raise UsageError(f"{_flag(field)}-file: {path}: its first line is empty")
    return secret


def _only_one(given: dict[str, Given], options: Iterable[Field[Any]]) -> None:
    """Of options that exclude each other the strongest source wins; two of one source are an error."""
    groups: dict[str, list[Field[Any]]] = {}
    for field in options:
        if "instead_of" in field.metadata and field.name in given:
            groups.setdefault(field.metadata["instead_of"], []).append(field)
    for group in groups.values():
        strongest = max(given[field.name][0] for field in group)
        chosen = [field for field in group if given[field.name][0] == strongest]
        if len(chosen) > 1:
            names = " and ".join(_flag(field) for field in chosen)
            raise UsageError(f"{names} exclude each other")
        for field in group:
            if field not in chosen:
                del given[field.name]


def _build(table: _Table, given: Mapping[str, Given]) -> Any:
    values = {}
    for field in table.fields:
        if field.name in given:
            values[field.name] = _value(field, given[field.name][1])
        elif _is_required(field):
            raise UsageError(f"{_flag(field)} is needed")
    try:
        return table.make(**values)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _value(field: Field[Any], raw: str | bool | Iterable[str]) -> Any:
    unit = unit_of(field.metadata)
    try:
        if isinstance(raw, bool):
            return raw
        if isinstance(raw, str):
            return unit.read(raw)
        if "commas" in field.metadata:
            raw = dict.fromkeys(piece.strip() for text in raw for piece in text.split(","))
        return tuple(map(unit.read, raw))
    except ValueError as error:
        raise UsageError(f"{_flag(field)}: {error}") from error
