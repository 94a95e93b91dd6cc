"""Files over HTTP, pushed where nobody can dial: given, fetched, and who else has them."""
