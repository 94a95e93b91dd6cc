"""The face for people: the `p2pswarm` command.

One file per group of commands (`making`, `checking`, `transfer`, `sharing`, `health`), and what they have in
common: `options` and `flags` (what may be asked), `report` and `views` (what is told), `running` (loop and
Ctrl-C), `exits` (how it ends). Commands import the node when they run, so that `--help` is quick.
"""

try:
    from p2pswarm.cli.app import main
except KeyboardInterrupt:  # while it loads there is nothing to end
    raise SystemExit(130) from None

__all__ = ["main"]
