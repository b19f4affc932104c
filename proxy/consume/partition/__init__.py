"""What is known of one partition of a group: what is out, accepted, held back, and how far to commit. Pure."""
