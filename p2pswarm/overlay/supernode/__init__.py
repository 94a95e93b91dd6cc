"""The supernode network: two tiers, as in KaZaA."""
