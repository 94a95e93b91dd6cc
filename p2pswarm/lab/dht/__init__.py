"""Hundreds of nodes of the distributed hash table, in virtual time."""
