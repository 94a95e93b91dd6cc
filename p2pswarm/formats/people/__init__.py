"""People at rest: what they are called, the certificates of their keys, and what they say of themselves."""
