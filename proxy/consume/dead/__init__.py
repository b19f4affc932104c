"""Dead letters: written, listed, replayed."""
