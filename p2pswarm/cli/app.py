"""The command as a whole: its sub-commands, `--version`, and one line instead of a traceback."""

import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from p2pswarm import __version__
from p2pswarm.cli import checking, health, making, sharing, transfer
from p2pswarm.cli.exits import EXPECTED, Exit, exit_code, one_line, words_of
from p2pswarm.cli.flags import options_as_flags
from p2pswarm.cli.text import say

__all__ = ["app", "main", "run"]

app = typer.Typer(
    help="Share files and fetch them from many machines at once, every piece verified.",
    epilog="Example: p2pswarm share holiday.mp4",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
# Objects made and kept before the collector looks among them. Python's 700 makes it look hundreds of times
# while modules are loaded, a tenth of the start; in what runs then hardly anything is left to be collected.
_YOUNG = 50_000
_EXAMPLES: dict[Callable[..., Exit], str] = {
    making.create: "p2pswarm create photos --tracker http://example.org/announce",
    making.info: "p2pswarm info photos.torrent --json",
    transfer.seed: "p2pswarm seed photos.torrent --data photos --up-limit 2MiB/s",
    transfer.get: "p2pswarm get http://192.168.1.5:6969/t/photos.torrent -o downloads",
    checking.verify: "p2pswarm verify photos.torrent --data downloads",
    sharing.share: "p2pswarm share photos",
    health.health: "p2pswarm health",
}
for _command, _example in _EXAMPLES.items():
    app.command(epilog=f"Example: {_example}")(options_as_flags(_command))


@app.callback(invoke_without_command=True)
def _whole(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="print the version and exit")] = False,
) -> None:
    if version:
        print(f"p2pswarm {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help(), file=sys.stderr)
        raise typer.Exit(Exit.USAGE)


def main() -> None:
    """The console script."""
    gc.set_threshold(_YOUNG)
    # SIGTERM is Ctrl-C from the first moment on. Left alone it ends us without tidying up, and as process 1
    # of a container it does nothing at all.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for name, mode in (("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # started with a closed descriptor
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115, PTH123
    code = run(sys.argv[1:])
    gc.freeze()  # the interpreter's end would look through all modules for garbage: 30 ms
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """The exit code of the command with these arguments; says in one line what went wrong."""
    try:
        code = app(list(arguments), prog_name="p2pswarm", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_stdout()
        return Exit.ERROR
    except typer.TyperException as error:
        say(f"{one_line(error.format_message())} (see {_command_of(error)} --help)")
        return Exit.USAGE
    except EXPECTED as error:
        say(words_of(error))
        return exit_code(error)
    except (KeyboardInterrupt, typer.Abort):
        return Exit.STOPPED
    return int(code or Exit.OK)


def _drop_stdout() -> None:
    """Nobody reads stdout; without this the interpreter complains about it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _command_of(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    return str(context.command_path) if context else "p2pswarm"
