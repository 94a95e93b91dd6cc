"""What a node without trackers does not pay for. In processes of their own: here everything is imported."""

import subprocess
import sys

import pytest

from p2pswarm.discovery.late import LateFetch
from p2pswarm.errors import TrackerError


def test_a_node_does_not_import_an_http_client() -> None:
    code = "import p2pswarm.node, sys; print('aiohttp' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"


async def test_the_first_request_brings_it_and_errors_pass() -> None:
    fetch = LateFetch()
    with pytest.raises(TrackerError, match="not an http or https URL"):
        await fetch.get("ftp://example.org/")
    with pytest.raises(TrackerError):
        await fetch("http://127.0.0.1:1/announce", 5)
    await fetch.aclose()
    await fetch.aclose()
