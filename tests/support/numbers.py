"""Ports that a test needs to have for itself.

The kernel gives numbers from 32768 on to whoever names none, and other tests run beside this one: a number of
theirs that is free for UDP may be somebody's for TCP.
"""

import socket
from random import SystemRandom

__all__ = ["number_for", "taken_for_datagrams"]

_NOBODY_IS_GIVEN = range(20_000, 32_000)


def taken_for_datagrams(host: str) -> socket.socket:
    """A UDP socket on a number that is free for TCP, and stays so."""
    dice, family = SystemRandom(), socket.AF_INET6 if ":" in host else socket.AF_INET
    while True:
        number = dice.choice(_NOBODY_IS_GIVEN)
        taken = socket.socket(family, socket.SOCK_DGRAM)
        try:
            taken.bind((host, number))
            socket.create_server((host, number), family=family).close()
        except OSError:
            taken.close()
        else:
            return taken


def number_for(host: str) -> int:
    """One that is free for TCP and UDP, and that the kernel gives to nobody meanwhile."""
    with taken_for_datagrams(host) as taken:
        return int(taken.getsockname()[1])
