"""Records lent to, and borrowed from, the owners at other workers."""
