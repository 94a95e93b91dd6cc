"""Errors of TLS have numbers of their own: "Operation not permitted" was said of a connection that broke."""

import ssl

import aiohttp

from p2pswarm.discovery.client import in_words


def test_they_are_not_taken_for_those_of_the_system() -> None:
    broken = ssl.SSLError(1, "[SSL: DECRYPTION_FAILED_OR_BAD_RECORD_MAC] (_ssl.c:2580)")
    wrapped = aiohttp.ClientOSError(*broken.args)
    wrapped.__cause__ = broken
    for error in (broken, wrapped, ssl.SSLEOFError(8, "EOF occurred in violation of protocol")):
        assert in_words(error) == "the encrypted connection broke off"
