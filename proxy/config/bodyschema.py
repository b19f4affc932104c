"""JSON Schemas of bodies, compiled so that neither a schema nor a body can make the bridge reach or hang.

No reference leaves the document, and `pattern`s run on an engine whose time is linear in the text: look-around
and back-references, which cannot, are refused when the schema is read.
"""

from typing import Any

import jsonschema_rs
from jsonschema_rs import RegexOptions, Validator


class BadSchema(ValueError):
    """The document is no usable JSON Schema. The message says where and why."""


def compile_schema(document: Any, *, mask: str | None = None) -> Validator:
    """A validator for the draft that `$schema` names (2020-12 without it). Raises BadSchema.

    Its messages quote what it refuses, or have `mask` in its place.
    """
    try:
        return jsonschema_rs.validator_for(
            document, retriever=_fetch_nothing, pattern_options=RegexOptions(), mask=mask
        )
    except jsonschema_rs.ValidationError as exc:
        where = "/".join(map(str, exc.instance_path))
        hint = " (look-around and back-references are not supported)" if '"regex"' in exc.message else ""
        raise BadSchema(f"at /{where}: {exc.message[:300]}{hint}") from exc
    except (ValueError, TypeError) as exc:
        raise BadSchema(str(exc)[:300]) from exc


def _fetch_nothing(uri: str) -> Any:
    raise LookupError(f"{uri} is outside the file, and references must stay inside it (#/$defs/...)")
