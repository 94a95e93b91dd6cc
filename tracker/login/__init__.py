"""The login service: names are registered, certificates given and taken back (docs/protocols/login.md).

Nobody needs it to find or to call anybody: whoever has a certificate goes on without it.
"""
