"""The command as a whole: its sub-commands, `--version`, and one line instead of a traceback."""

import gc
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple

import click
from typing_extensions import override

from p2pswarm import __version__
from p2pswarm.cli.exits import EXPECTED, Exit, exit_code, one_line, words_of
from p2pswarm.cli.flags import as_command
from p2pswarm.cli.text import say
from p2pswarm.net.descriptors import keep_standard_descriptors

__all__ = ["app", "main", "run"]

# Objects made and kept before the collector looks among them. Python's 700 makes it look hundreds of times
# while modules are loaded, a tenth of the start; in what runs then hardly anything is left to be collected.
_YOUNG = 50_000


class _Known(NamedTuple):
    """A command that is not loaded yet: its room, the first sentence of its help, an example."""

    room: str
    words: str
    example: str


_COMMANDS = {
    "create": _Known(
        "making",
        "Make a .torrent of a file or folder, and print its name.",
        "p2pswarm create photos --tracker http://example.org/announce",
    ),
    "info": _Known("making", "Show what a .torrent says.", "p2pswarm info photos.torrent --json"),
    "seed": _Known(
        "transfer",
        "Check the data of a torrent and give it to whoever asks, until stopped.",
        "p2pswarm seed photos.torrent --data photos --up-limit 2MiB/s",
    ),
    "get": _Known(
        "transfer",
        "Fetch the data of a torrent, and print where it lies.",
        "p2pswarm get http://192.168.1.5:6969/t/photos.torrent -o downloads",
    ),
    "magnet": _Known(
        "magnets", "Print the magnet link of a .torrent.", "p2pswarm magnet photos.torrent"
    ),
    "verify": _Known(
        "checking",
        "Compare the data on the disk with a torrent, and list what differs.",
        "p2pswarm verify photos.torrent --data downloads",
    ),
    "move": _Known(
        "moving",
        "Move the files of a torrent to another folder, and print where they are then.",
        "p2pswarm move photos.torrent --data downloads --to /mnt/archive",
    ),
    "share": _Known(
        "sharing",
        "Give a file or folder to whoever types the printed line, or finds it, until stopped.",
        "p2pswarm share photos",
    ),
    "publish": _Known(
        "publishing",
        "Give a folder as the newest release of a feed, until stopped; prints the link to the feed.",
        "p2pswarm publish my.key photos",
    ),
    "follow": _Known(
        "feeds",
        "Fetch the newest release of a feed, and every one that comes, until stopped.",
        "p2pswarm follow 'magnet:?xs=urn:btpk:KEY' -o photos",
    ),
    "feed": _Known(
        "feeds",
        "Show all releases of a feed, and what does not fit.",
        "p2pswarm feed 'magnet:?xs=urn:btpk:KEY'",
    ),
    "search": _Known(
        "searching",
        "Look for files in search networks; prints them as they are found, each once.",
        "p2pswarm search blue moon --connect 192.0.2.7:46881",
    ),
    "fetch": _Known(
        "searching",
        "Download a file that a search found, verified, from every host that has it.",
        "p2pswarm fetch 1 -o downloads",
    ),
    "dht": _Known(
        "dht",
        "Look into the DHT, where nodes find peers without a tracker, and get and put small items there.",
        "p2pswarm dht put 'hello, world'",
    ),
    "id": _Known(
        "registering", "Show who you are to others: your key and your name.", "p2pswarm id"
    ),
    "register": _Known(
        "registering",
        "Take a name at a login service, or renew the certificate of yours.",
        "p2pswarm register alice --login https://login.example.org",
    ),
    "whois": _Known(
        "whois",
        "Look somebody up; prints the name, its key, until when that is certified, and where it is rung.",
        "p2pswarm whois alice --connect 192.0.2.7:46881",
    ),
    "call": _Known(
        "calling",
        "Call somebody by name and talk, encrypted from end to end; Ctrl-C hangs up.",
        "p2pswarm call bob --connect 192.0.2.7:46881",
    ),
    "answer": _Known(
        "answering",
        "Be found and called by name, until stopped; with --in, --out or --pipe for one call.",
        "p2pswarm answer --connect 192.0.2.7:46881",
    ),
    "send": _Known(
        "sending",
        "Send files and folders to people by name, encrypted from end to end.",
        "p2pswarm send bob,carol holiday.mp4 photos/",
    ),
    "message": _Known(
        "sending",
        "Leave somebody a message, delivered when both are there: by this command, or by a later `answer`.",
        "p2pswarm message bob 'see you at eight'",
    ),
    "lab": _Known(
        "lab",
        "Measure search networks of thousands of real nodes in this process, on virtual time.",
        "p2pswarm lab robustness --out pictures",
    ),
    "health": _Known(
        "health",
        "Tell a node or tracker that works from one that hangs; made for containers.",
        "p2pswarm health",
    ),
}


class _Commands(click.Group):
    """Shows all commands, and loads the room of the one that is asked for."""

    @override
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and _load(command.name or ""), rest


def _load(name: str) -> click.Command:
    room, _, example = _COMMANDS[name]
    return as_command(getattr(import_module(f"p2pswarm.cli.{room}"), name), example)


@click.group(
    cls=_Commands,
    commands=[click.Command(name, help=known.words) for name, known in _COMMANDS.items()],
    help="Share files and fetch them from many machines at once, every piece verified.",
    epilog="Example: p2pswarm share holiday.mp4",
    invoke_without_command=True,
)
@click.option("--version", is_flag=True, help="print the version and exit")
@click.pass_context
def app(context: click.Context, version: bool) -> None:
    if version:
        print(f"p2pswarm {__version__}")
        context.exit()
    if context.invoked_subcommand is None:
        print(context.get_help(), file=sys.stderr)
        context.exit(Exit.USAGE)


def main() -> None:
    """The console script."""
    gc.set_threshold(_YOUNG)
    # SIGTERM is Ctrl-C from the first moment on. Left alone it ends us without tidying up, and as process 1
    # of a container it does nothing at all.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    keep_standard_descriptors()
    code = run(sys.argv[1:])
    _flush()
    gc.freeze()  # the interpreter's end would look through all modules for garbage: 30 ms
    sys.exit(code)


def _flush() -> None:
    """Now, for nobody may read any more: the interpreter would make that 120, and say so at length."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def run(arguments: Sequence[str]) -> int:
    """The exit code of the command with these arguments; says in one line what went wrong."""
    try:
        code = app.main(list(arguments), prog_name="p2pswarm", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_stdout()
        return Exit.ERROR
    except click.ClickException as error:
        say(f"{one_line(error.format_message())} (see {_command_of(error)} --help)")
        return Exit.USAGE
    except EXPECTED as error:
        say(words_of(error))
        return exit_code(error)
    except (KeyboardInterrupt, click.Abort):
        return Exit.STOPPED
    return int(code or Exit.OK)


def _drop_stdout() -> None:
    """Nobody reads stdout; without this the interpreter complains about it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _command_of(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return str(context.command_path) if context else "p2pswarm"
