"""The one shape of the admin side's answers that are no problems."""

from typing import Any

import orjson
from starlette.responses import Response


def answer(document: Any, status: int = 200) -> Response:
    """As JSON. Dataclasses are objects with their fields."""
    body = orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)
    return Response(body, status, media_type="application/json")
