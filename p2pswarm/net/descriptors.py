"""Descriptors 0, 1 and 2, which belong to standard input, output and errors also where those are closed.

Else the first socket would have such a number: what is printed would go to a stranger, and uvloop aborts the
process when it closes one.
"""

import os
import sys

__all__ = ["keep_standard_descriptors"]


def keep_standard_descriptors() -> None:
    """Those that are closed become /dev/null. To be called first of all."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free, so this number
            os.set_inheritable(number, True)  # as it is with the others
        if getattr(sys, name) is None:  # as Python found it
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115
