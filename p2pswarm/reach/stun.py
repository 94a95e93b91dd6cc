"""STUN (RFC 8489) as we speak it: binding requests and answers, by the codec of aioice.

Two of us check a way with what both said in their offers (RFC 8445, 7): a request is signed with the password
of whom it is sent to, and so is its answer. Anybody may ask a super node where it sees him; such a request is
padded, so that no answer is longer.
"""

import struct
from typing import Any

from aioice.stun import Class, Message, Method, parse_message

from p2pswarm.errors import FormatError
from p2pswarm.formats.ids import Address

__all__ = [
    "TRANSACTION_SIZE",
    "Message",
    "answer",
    "ask",
    "check",
    "check_answer",
    "is_request",
    "is_signed",
    "mapped",
    "read",
]

TRANSACTION_SIZE = 12
MAX_SIZE = 1280  # bytes; ours have a hundred or two
_PADDING = 64  # bytes beyond the name; an answer has 60 at most
_NAME = "p2pswarm"


def read(data: bytes) -> Message:
    """A binding request or its answer. Raises FormatError."""
    if len(data) > MAX_SIZE:
        raise FormatError(f"{len(data)} bytes of STUN, at most {MAX_SIZE} are read")
    try:
        message = parse_message(bytes(data))
    except (ValueError, IndexError, struct.error) as error:
        raise FormatError(f"no message of STUN: {error}") from error
    if message.message_method is not Method.BINDING:
        raise FormatError("STUN that is not about binding")
    return message


def is_request(message: Message) -> bool:
    return message.message_class is Class.REQUEST


def is_signed(message: Message, password: str) -> bool:
    """Whether everything in it is from somebody who knows the password."""
    return bool(message.check_message_integrity(password.encode()))


def ask(transaction: bytes, **attributes: Any) -> bytes:
    """A request that anybody may send to a super node; `_` in a name stands for `-`."""
    named = {name.replace("_", "-"): value for name, value in attributes.items()}
    named["SOFTWARE"] = _NAME.ljust(_PADDING)
    return _finished(Message(Method.BINDING, Class.REQUEST, transaction, named))


def answer(request: Message, seen: Address, password: str = "", **attributes: Any) -> bytes:
    """Where we see who asked; signed if there is a password."""
    named = {name.replace("_", "-"): value for name, value in attributes.items()}
    named["XOR-MAPPED-ADDRESS"] = (seen.host.partition("%")[0], seen.port)
    message = Message(Method.BINDING, Class.RESPONSE, request.transaction_id, named)
    return _finished(message, password)


def check(transaction: bytes, names: tuple[str, str], password: str, **attributes: Any) -> bytes:
    """A request to the other side of an offer; `names` are its ufrag and ours."""
    named = {name.replace("_", "-"): value for name, value in attributes.items()}
    named = {"USERNAME": ":".join(names), **named}
    return _finished(Message(Method.BINDING, Class.REQUEST, transaction, named), password)


def check_answer(request: Message, password: str) -> bytes:
    """The answer to a check that came through a relay, where addresses mean nothing."""
    return answer(request, Address("0.0.0.0", 0), password)  # noqa: S104


def mapped(message: Message) -> Address:
    """Where a super node sees us. Raises FormatError."""
    seen = message.attributes.get("XOR-MAPPED-ADDRESS")
    if message.message_class is not Class.RESPONSE or seen is None:
        raise FormatError("an answer of STUN without an address")
    return Address(*seen).normal


def _finished(message: Message, password: str = "") -> bytes:
    if password:
        message.add_message_integrity(password.encode())
    else:
        message.add_fingerprint()
    return bytes(message)
