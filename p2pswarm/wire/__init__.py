"""Bytes in flight become messages, and messages bytes. No socket, no loop, no clock."""
