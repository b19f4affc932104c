"""The file of callers (`auth.file`): `keys` and `basic` as `auth` has them, kept apart for those who hand them out."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from proxy.config.callers import Callers, CallersFile
from proxy.config.document import NotYaml, read_document
from proxy.config.environment import fill_in
from proxy.config.mistake import ConfigMistakes, Mistake, dotted
from proxy.config.words import explain


def read_callers(path: Path, name: str, environ: Mapping[str, str]) -> CallersFile:
    """What is in it; `name` is what the configuration calls it. Raises ConfigMistakes, with places in this file."""
    try:
        document = read_document(path.read_text(encoding="utf-8"), str(path))
    except NotYaml as exc:
        raise ConfigMistakes([exc.mistake]) from exc
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
        raise ConfigMistakes([Mistake(str(path), 1, 1, "file", f"cannot be read: {reason}")]) from exc
    faults = list(document.faults)
    data = fill_in(document.data, environ, faults)
    try:
        callers = Callers.model_validate(data)
    except ValidationError as exc:
        faults += explain(exc, Callers)
    if faults:
        places = [(fault, *document.place(fault)) for fault in faults]
        raise ConfigMistakes(
            Mistake(str(path), line, column, dotted(fault.path), fault.detail) for fault, line, column in places
        )
    return CallersFile(file=name, keys=callers.keys, basic=callers.basic)
