"""Gnutella: equal peers and ultrapeers without a server, searched by flood, dynamic query or GUESS."""
