"""The directory of people on virtual time: how it holds together, and what lookups and catastrophes cost."""
