"""The Gnutella 0.6 protocol, both directions together (docs of the Gnutella Developer Forum).

`descriptor` cuts the messages and forwards them unread; `pings`, `bye`, `query`, `hit`, `push` and `vendor`
are what their payloads say; `ggep` is the extension block that most of them may end with.
"""
