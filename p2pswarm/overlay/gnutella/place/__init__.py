"""Whom we are connected to, what we are to them, and whom we could be connected to."""
