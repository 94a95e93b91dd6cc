"""Two people in a call: what is said, written and heard, over whatever path there is."""
