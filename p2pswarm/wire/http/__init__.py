"""HTTP as servents speak it, and the GIV line before it: what both networks that move files by it share."""
