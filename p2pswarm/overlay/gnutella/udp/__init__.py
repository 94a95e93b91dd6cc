"""Gnutella by UDP: host caches, queries with keys, hits out of band, and what strangers may make us send."""
