"""The extension protocol (BEP 10): its handshake, and what each extension says, both directions."""
