"""One record a line (`application/x-ndjson`); its `position` is what SSE has as the event's id. Pure."""

from dataclasses import dataclass

import orjson

from proxy.demo.clients.stream import Event


@dataclass(slots=True)
class JsonLines:
    """Turns lines into events; an empty line is the heartbeat."""

    accept: str = "application/x-ndjson"
    retry_ms: int = 1000

    def begin(self) -> None:
        """Nothing is carried from one connection to the next."""

    def feed(self, line: str) -> Event | None:
        if not line.strip():
            return None
        said = orjson.loads(line)
        if "end" in said:  # why the server ends the stream, and when it would have us back
            self.retry_ms = said["end"]["retry_ms"]
            return None
        if "gap" in said:
            return Event(line, str(said["gap"]["next"]), "gap")
        return Event(line, str(said["position"]))
