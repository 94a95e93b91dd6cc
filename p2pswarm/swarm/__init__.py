"""One torrent among its peers: what to ask whom, whom to serve, what is ours already."""
