"""The supernode protocol, both directions together (docs/protocols/supernode.md).

`frames` cuts the messages; the other rooms are what their bodies say, and `reading` knows which is which.
What is flooded and indexed (`queries`, `shares`, `hosts`) is binary, the rest are bencoded dictionaries.
"""
