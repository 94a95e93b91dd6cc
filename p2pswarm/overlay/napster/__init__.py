"""The client side of Napster: logged in at one server, found by others, fetching from them and giving."""
