"""A group: its owner side, its readers and streams, commits, control."""
