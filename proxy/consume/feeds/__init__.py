"""Reading without a group: a shared ring, catch-up behind it, positions, filters."""
