"""What the operator writes: the file's keys as a model, and every mistake in it with its place."""
