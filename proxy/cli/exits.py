"""How a command ends, for whoever called it."""

OK = 0
FAILED = 1
MISTAKES = 2  # in the configuration file, or (by typer) in the command itself

EXIT_CODES = """\b
Exit codes:
  0  it went well
  1  it failed
  2  mistakes in the configuration file, or in the command"""


class CommandFailed(Exception):
    """The command cannot do what was asked. The message says why and what to do; `main` prints it."""
