"""Server-Sent Events, line by line (WHATWG HTML, "Server-sent events"). Pure."""

from dataclasses import dataclass, field

from proxy.demo.clients.stream import Event


@dataclass(slots=True)
class SseLines:
    """Turns lines into events."""

    accept: str = "text/event-stream"
    retry_ms: int = 1000  # what the server last asked for, between two connections
    _id: str = ""
    _name: str = ""
    _data: list[str] = field(default_factory=list)

    def begin(self) -> None:
        """A new connection: an event that the last one cut in half is gone."""
        self._data, self._name = [], ""

    def feed(self, line: str) -> Event | None:
        """Take one line without its end. An empty line completes the event, if there is one."""
        if not line:
            return self._complete()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self._id = value
            case "event":
                self._name = value
            case "retry" if value.isascii() and value.isdigit():
                self.retry_ms = int(value)
        return None  # of the rest: comments (the heartbeat), and fields of the future

    def _complete(self) -> Event | None:
        data, name = self._data, self._name
        self.begin()
        return Event("\n".join(data), self._id, name or "message") if data else None
