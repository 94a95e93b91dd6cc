"""Short codes: who knows one is told the link of a share, through a rendezvous that learns neither."""
