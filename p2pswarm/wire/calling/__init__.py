"""What two say to each other in a call: frames inside TLS, and sealed datagrams beside it."""
