"""From a connection to a neighbour: what is agreed on, and one conversation with its queue and its limits."""
