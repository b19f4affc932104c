"""What `observe` needs of the installation."""

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from proxy.config.mistake import Fault
from proxy.config.outline import mapping

NEEDED = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")  # the extra `tracing`


def tracing_is_installed(data: Mapping[str, Any]) -> Iterator[Fault]:
    """Spans are sent by a library that not everybody wants."""
    if mapping(data.get("observe")).get("tracing") is not None and not all(map(_is_there, NEEDED)):
        detail = "needs the extra `tracing`, which is not installed here: pip install 'stepbridge[tracing]'"
        yield Fault(("observe", "tracing"), f"{detail}, or leave it out", at_key=True)


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # what it is in is not there
        return False


OBSERVE_RULES = (tracing_is_installed,)
