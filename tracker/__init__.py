"""The tracker service: it introduces the peers of a swarm to each other over HTTP, and hosts torrents.

`tracker.app.TrackerService` is the service for embedding, `python -m tracker` the program.
"""
