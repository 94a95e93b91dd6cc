"""The laboratory: thousands of real nodes in one process, on virtual time, and what was seen there.

An experiment gives a `Result` (`results`); `tables` shows it in a terminal, `plots` draws it, `report` makes
one page of it.
"""
