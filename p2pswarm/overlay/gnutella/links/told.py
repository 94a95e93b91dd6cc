"""What the headers of a greeting tell, whatever stands in them."""

from collections.abc import Mapping

from p2pswarm.overlay.gnutella.links.agreement import Role, Tries
from p2pswarm.wire.http.addresses import read_addresses

__all__ = ["MOST_TRIES", "not_needed", "read_guid", "read_number", "read_role", "read_tries"]

MOST_TRIES = 10  # addresses given, and read, in one list; foreign programs give as many


def read_role(headers: Mapping[str, str]) -> Role:
    value = headers.get("X-Ultrapeer", "").strip().lower()
    return {"true": Role.ULTRAPEER, "false": Role.LEAF}.get(value, Role.PEER)


def not_needed(headers: Mapping[str, str]) -> bool:
    return headers.get("X-Ultrapeer-Needed", "").strip().lower() == "false"


def read_tries(headers: Mapping[str, str]) -> Tries:
    ultrapeers = read_addresses(headers.get("X-Try-Ultrapeers"), MOST_TRIES)
    return Tries(tuple(ultrapeers), tuple(read_addresses(headers.get("X-Try"), MOST_TRIES)))


def read_guid(headers: Mapping[str, str]) -> bytes | None:
    try:
        guid = bytes.fromhex(headers.get("GUID", ""))
    except ValueError:
        return None
    return guid if len(guid) == 16 else None


def read_number(text: str | None, default: int, most: int) -> int:
    """Between 1 and `most`, whatever they say."""
    text = (text or "").strip()
    plain = text.isascii() and text.isdigit() and len(text) <= 4
    return min(max(int(text), 1), most) if plain else default
