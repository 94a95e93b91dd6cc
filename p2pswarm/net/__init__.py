"""Sockets: streams that carry framers, the one port of a node, and how fast bytes may flow."""
