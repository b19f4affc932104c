"""How a command ends, for whoever called it."""

OK = 0
FAILED = 1
MISTAKES = 2  # in the configuration file, or (by typer) in the command itself


class CommandFailed(Exception):
    """The command cannot do what was asked. The message says why and what to do; `main` prints it."""
