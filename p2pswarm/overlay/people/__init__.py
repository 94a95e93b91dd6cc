"""The people network: users found by name and rung where they are at home."""
