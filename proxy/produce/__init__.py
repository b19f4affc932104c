"""Writing: from a complete record to its receipt."""
