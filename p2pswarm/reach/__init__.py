"""How two users get a path to each other: every way is tried at once, and relays carry until one works."""
