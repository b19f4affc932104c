"""What pydantic found, in the words of the file: what is wrong, what would be right."""

from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from proxy.config.later import NOT_IN_THIS_VERSION, is_later, is_later_value, names_at
from proxy.config.mistake import Fault, Path, is_secret

_DETAILS: dict[str, Callable[[ErrorDetails], str]] = {
    "missing": lambda error: "is missing",
    "value_error": lambda error: str(error["ctx"]["error"]),
    "int_type": lambda error: f"is {_shown(error)}, must be {_whole_number(error['loc'])}",
    "int_parsing": lambda error: f"is {_shown(error)}, must be {_whole_number(error['loc'])}",
    "int_from_float": lambda error: f"is {_shown(error)}, must be {_whole_number(error['loc'])}",
    "bool_type": lambda error: f"is {_shown(error)}, must be true or false",
    "bool_parsing": lambda error: f"is {_shown(error)}, must be true or false",
    "string_type": lambda error: f"is {_shown(error)}, must be text: {_how_to_text(error['input'])}",
    "model_type": lambda error: f"is {_shown(error)}, must be a mapping (key: value)",
    "dict_type": lambda error: f"is {_shown(error)}, must be a mapping (key: value)",
    "tuple_type": lambda error: f"is {_shown(error)}, must be a list",
    "greater_than": lambda error: f"is {_shown(error)}, must be more than {error['ctx']['gt']}",
    "greater_than_equal": lambda error: f"is {_shown(error)}, must be at least {error['ctx']['ge']}",
    "less_than_equal": lambda error: f"is {_shown(error)}, must be at most {error['ctx']['le']}",
    "too_short": lambda error: f"has too few entries, must have at least {error['ctx']['min_length']}",
    "too_long": lambda error: f"has too many entries, must have at most {error['ctx']['max_length']}",
    "literal_error": lambda error: f"is {_shown(error)}, must be {error['ctx']['expected']}",
}


def explain(error: ValidationError, model: type[BaseModel]) -> Iterator[Fault]:
    """The faults behind a failed validation of the whole file by `model`."""
    for each in error.errors(include_url=False):
        if not _is_aftermath(each):
            yield _fault(each, model)


def _fault(error: ErrorDetails, model: type[BaseModel]) -> Fault:
    path: Path = error["loc"]
    if path and path[-1] == "[key]":
        return Fault(path[:-1], _detail(error), at_key=True)
    if error["type"] == "extra_forbidden":
        return Fault(path, _unknown(path, model), at_key=True)
    if is_later_value(path, error["input"]):
        return Fault(path, f"this value is {NOT_IN_THIS_VERSION}, {_detail(error).partition(', ')[2]}")
    return Fault(path, _detail(error))


def _is_aftermath(error: ErrorDetails) -> bool:
    """A list whose entries are wrong is said to be too short as well."""
    return error["type"] == "too_short" and len(error["input"]) >= error["ctx"]["min_length"]


def suggestion(word: str, known: Sequence[str]) -> str:
    """`, did you mean produce?`, or nothing."""
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    return f", did you mean {close[0]}?" if close else ""


def _detail(error: ErrorDetails) -> str:
    words = _DETAILS.get(error["type"])
    return words(error) if words else error["msg"]


def _unknown(path: Path, model: type[BaseModel]) -> str:
    name = str(path[-1])
    if is_later(path):
        return f"{name} is {NOT_IN_THIS_VERSION}: leave it out"
    known = [*_keys_at(path[:-1], model), *names_at(path[:-1])]
    return "unknown key" + (suggestion(name, known) or ", there are: " + ", ".join(known))


def _keys_at(path: Path, model: type[BaseModel]) -> list[str]:
    """The keys of the mapping at `path`, as the file spells them."""
    is_name = False  # of an entry: the file's own word
    for step in path:
        if isinstance(step, str) and not is_name:
            annotation = _fields(model)[step]
            model = _model_in(annotation)
            is_name = get_origin(annotation) is dict
        else:
            is_name = False
    return list(_fields(model))


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _model_in(annotation: Any) -> type[BaseModel]:
    """The model inside `X`, `X | None`, `tuple[X, ...]` or `dict[str, X]`."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    raise LookupError(f"{annotation} holds no section")


def _shown(error: ErrorDetails) -> str:
    value = error["input"]
    if is_secret(error["loc"]):
        return "not usable"
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (dict, list)):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


_UNITS = {"_ms": "of milliseconds, such as 5000", "_bytes": "of bytes, such as 1048576", "port": "such as 8080"}


def _whole_number(path: Path) -> str:
    """With its unit, which the key's name tells, and an example."""
    unit = next((words for end, words in _UNITS.items() if str(path[-1]).endswith(end)), "such as 100")
    return f"a whole number{',' if unit.startswith('such') else ''} {unit}"


def _how_to_text(value: Any) -> str:
    if isinstance(value, dict) and len(value) == 1 and None in value.values():
        return f'a template needs quotes, "{{{next(iter(value))}}}"'  # YAML takes {body.sku} for a mapping
    return "put it in quotes" if isinstance(value, (bool, int, float)) else "write one text"
