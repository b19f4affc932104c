"""`${NAME}` and `${NAME:-default}` in the file's texts; `$${` stands for `${` itself.

As in a shell, the default also stands in for a variable that is set but empty. What a variable holds is text:
it is not looked through again, neither for variables nor for YAML, and becomes a number where one is asked for.
"""

import re
from collections.abc import Mapping
from typing import Any

from proxy.config.mistake import Fault, Path

_TOKEN = re.compile(r"\$\$\{|\$\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\})?")


class BadVariable(ValueError):
    """A variable is not set, or not written as one. The message says what would be right."""


def substitute(text: str, environ: Mapping[str, str]) -> str:
    """The text with its variables filled in. Raises BadVariable."""

    def value(match: re.Match[str]) -> str:
        if match.group() == "$${":
            return "${"
        name, default = match.group("name", "default")
        if name is None:
            raise BadVariable("${ begins no variable: write ${NAME} or ${NAME:-default}, or $${ for the text itself")
        if default is not None:
            return environ.get(name) or default
        if name not in environ:
            raise BadVariable(f"{name} is not set in the environment: set it, or write ${{{name}:-default}}")
        return environ[name]

    return _TOKEN.sub(value, text)


def fill_in(data: Any, environ: Mapping[str, str], faults: list[Fault], path: Path = ()) -> Any:
    """A copy of the data with the variables of all its texts (not keys) filled in; what cannot be is a fault."""
    if isinstance(data, dict):
        return {key: fill_in(value, environ, faults, (*path, key)) for key, value in data.items()}
    if isinstance(data, list):
        return [fill_in(value, environ, faults, (*path, index)) for index, value in enumerate(data)]
    if not isinstance(data, str) or "$" not in data:
        return data
    try:
        return substitute(data, environ)
    except BadVariable as exc:
        faults.append(Fault(path, str(exc)))
        return data
