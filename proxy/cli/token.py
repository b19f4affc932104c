"""What the commands show the admin side of a running bridge, where it asks who they are."""

import base64
import os
from typing import Annotated

import typer

ENVIRONMENT = "STEPBRIDGE_ADMIN_TOKEN"


def _keep(said: str | None) -> str | None:
    """From here on as if the environment had said it."""
    if said is not None:
        os.environ[ENVIRONMENT] = said
    return said


Token = Annotated[  # may stand before a subcommand, or behind it
    str | None,
    typer.Option(
        "--token",
        metavar="KEY",
        callback=_keep,
        help=f"API key for the admin side, or USER:PASSWORD; others on this machine see it here, not in {ENVIRONMENT}.",
    ),
]


def authorization() -> dict[str, str]:
    """The headers to send: of --token, else of the environment; none where neither says anything."""
    said = os.environ.get(ENVIRONMENT)
    if not said:
        return {}
    if ":" in said:
        return {"Authorization": f"Basic {base64.b64encode(said.encode()).decode()}"}
    return {"Authorization": f"Bearer {said}"}
