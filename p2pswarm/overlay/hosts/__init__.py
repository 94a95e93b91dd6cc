"""Whom we know of a network, from one session to the next."""
