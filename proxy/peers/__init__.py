"""Connections between the workers of this and other hosts: authenticated, and one from each worker to each other."""
