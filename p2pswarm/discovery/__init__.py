"""Who has it? Sources of addresses for one torrent, and the HTTP client they ask with."""
