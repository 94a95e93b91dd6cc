"""The people protocol: who is where, and how one is rung (docs/protocols/people.md).

`frames` cuts the streams, `datagrams` frames what is asked by UDP, `marked` what is relayed and what is said;
the other rooms are what the bodies say: bencoded dictionaries, read by `wire/supernode/dictionary`.
"""
