"""Networks where files are found, each behind one door, and what we share with all of them."""
