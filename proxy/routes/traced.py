"""A recipe whose records carry the trace their request belongs to."""

from proxy.record import Record
from proxy.routes.recipe import RecordRecipe
from proxy.routes.request import Request

NAMES = {b"traceparent": "traceparent", b"tracestate": "tracestate"}  # of W3C Trace Context, in requests and records


class TracedRecipe(RecordRecipe):
    """Puts `traceparent` and `tracestate` of the request into the record's headers.

    A route that names such a header itself keeps its own.
    """

    def item(self, request: Request) -> Record:
        """As RecordRecipe's."""
        record = super().item(request)
        taken = {name for name, _ in record.headers}
        trace = [(NAMES[name], value) for name, value in request.headers if name in NAMES]
        return record._replace(headers=[*record.headers, *(header for header in trace if header[0] not in taken)])
