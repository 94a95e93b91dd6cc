"""Bytes at rest become values. No socket, no loop, no clock: plain functions of their input."""
