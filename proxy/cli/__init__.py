"""The command `stepbridge`: `commands.py` has them all; each imports what it needs when it runs."""

from proxy.cli.commands import main

__all__ = ["main"]
