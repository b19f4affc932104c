"""Reading: for a group (leases, acknowledgements, commits) and without one (positions, one shared reader)."""
