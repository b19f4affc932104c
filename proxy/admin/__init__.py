"""The admin side, on a port of its own: health, metrics, state and control for operators."""
