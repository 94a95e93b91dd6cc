"""What all bodies are made of: addresses of six or eighteen bytes, and text that may stand on a screen."""

import re
from ipaddress import IPv6Address

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.formats.ids import Address

__all__ = [
    "ADDRESS_4",
    "ADDRESS_6",
    "MAX_SIZE",
    "NODE_SIZE",
    "check_node",
    "pack_address",
    "pack_text",
    "read_address",
    "read_text",
]

NODE_SIZE = 16  # bytes of a node's name, and of a query's
MAX_SIZE = (1 << 63) - 1  # what a database column holds; no file is larger
ADDRESS_4, ADDRESS_6 = 6, 18  # bytes of an address with its port, as in BEP 23 and BEP 7

# Controls of both halves, and the two separators that end a line.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def pack_address(address: Address) -> bytes:
    """Six bytes of IPv4 or eighteen of IPv6. Raises LocalProtocolError for a name or no port."""
    ip = address.ip
    if ip is None or not 0 <= address.port < 65536:
        raise LocalProtocolError(f"{address} cannot be told: it is no IP address with a port")
    return ip.packed + address.port.to_bytes(2, "big")


def read_address(data: bytes) -> Address:
    """Of six or eighteen bytes; an IPv4 address in the clothes of IPv6 is undressed."""
    port = data[-2] << 8 | data[-1]
    if len(data) == ADDRESS_4:
        return Address("%d.%d.%d.%d" % tuple(data[:4]), port)  # noqa: UP031  a third of the time of format
    ip = IPv6Address(data[:16])
    return Address(str(ip.ipv4_mapped or ip), port)


def pack_text(text: str, most: int) -> bytes:
    """At most `most` bytes of UTF-8. Raises LocalProtocolError."""
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise LocalProtocolError(f"{text!r} is no text") from error
    if len(data) > most or _CONTROLS.search(text):
        raise LocalProtocolError(f"{text!r} is not one line of at most {most} bytes")
    return data


def read_text(data: bytes) -> str:
    """UTF-8 without control characters: it ends up on screens. Raises RemoteProtocolError."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise RemoteProtocolError(f"{data[:40]!r} is not UTF-8") from error
    if not text.isprintable() and _CONTROLS.search(text):
        raise RemoteProtocolError(f"{text[:40]!r} has control characters")
    return text


def check_node(node: bytes) -> bytes:
    """The 16 bytes of a node or a query. Raises LocalProtocolError."""
    if len(node) != NODE_SIZE:
        raise LocalProtocolError(f"a name of {len(node)} bytes, {NODE_SIZE} are needed")
    return node
