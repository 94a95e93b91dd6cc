"""The Gnutella protocol, both directions together."""
