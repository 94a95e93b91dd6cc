"""Gnutella in the laboratory: the product's routers and links, in any number and as a graph says."""
