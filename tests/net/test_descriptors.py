"""A program that is started without standard input, output or errors."""

import subprocess
import sys

_PROGRAM = """
import os, sys
for number in (0, 1, 2):
    os.close(number)
sys.stdin = None
from p2pswarm.net.descriptors import keep_standard_descriptors
keep_standard_descriptors()
one = os.pipe()
kept = all(os.path.samestat(os.fstat(number), os.stat(os.devnull)) for number in (0, 1, 2))
print("nobody hears this", flush=True)
sys.exit(0 if kept and min(one) > 2 and sys.stdin.read() == "" else 1)
"""


def test_no_socket_gets_the_number_of_a_closed_one() -> None:
    ended = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
