"""The micro transport protocol (BEP 29): a stream over datagrams that yields to all other traffic."""
