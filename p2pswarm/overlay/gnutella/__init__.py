"""Gnutella: equal servents that find files among their neighbours and fetch them over HTTP."""
