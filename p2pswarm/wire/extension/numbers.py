"""The extensions we speak: their names, and the numbers under which we want to hear them.

A number is the *receiver's*: what we send carries the number that the peer gave in its own handshake. These
are libtorrent's numbers but for our own extension; any others between 1 and 255 would do as well.
"""

__all__ = ["DONT_HAVE", "FEED", "HOLEPUNCH", "METADATA", "NUMBERS", "PEX", "UPLOAD_ONLY"]

PEX = "ut_pex"  # BEP 11
METADATA = "ut_metadata"  # BEP 9
UPLOAD_ONLY = "upload_only"  # BEP 21, as the message that libtorrent made of it
HOLEPUNCH = "ut_holepunch"  # BEP 55
DONT_HAVE = "lt_donthave"  # BEP 54
FEED = "p2p_feed"  # ours: docs/protocols/feed.md

NUMBERS = {PEX: 1, METADATA: 2, UPLOAD_ONLY: 3, HOLEPUNCH: 4, DONT_HAVE: 7, FEED: 9}
