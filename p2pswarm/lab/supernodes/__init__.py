"""Supernodes in the laboratory: the product's own members on hosts in virtual time."""
