"""The head of a request as bytes: exactly what it says, in its order."""

from proxy.errors import Malformed
from proxy.seams.upstream import Fields, UpstreamRequest

HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade")
)


def end_to_end(fields: Fields) -> list[tuple[bytes, bytes]]:
    """Without the fields of one connection, also those that `Connection` names (RFC 9110, 7.6.1)."""
    named: set[bytes] = set()
    for name, value in fields:
        if name == b"connection":
            named.update(word.strip().lower() for word in value.split(b","))
    return [field for field in fields if field[0] not in HOP_BY_HOP and field[0] not in named]


def request_head(request: UpstreamRequest, host: bytes | None, address: bytes) -> bytes:
    """`host`: what stands in place of the client's Host, None for that one; `address` where there is none at all.

    A whole body without a Content-Length gets one. Raises Malformed for what would not be one head.
    """
    lines = [b"%b %b HTTP/1.1" % (request.method.encode(), request.target)]
    has_host = has_length = False
    for name, value in request.headers:
        if name == b"host":
            has_host = True
            value = host if host is not None else value
        elif name == b"content-length":
            has_length = True
        lines.append(b"%b: %b" % (name, value))
    if not has_host:
        lines.insert(1, b"host: " + (address if host is None else host))
    if isinstance(request.body, bytes) and not has_length:
        lines.append(b"content-length: %d" % len(request.body))
    elif request.body is not None and not has_length:
        lines.append(b"transfer-encoding: chunked")
    head = b"\r\n".join(lines) + b"\r\n\r\n"
    if head.count(b"\n") != len(lines) + 1 or head.count(b"\r") != len(lines) + 1:
        raise Malformed("A header of the request has a line break in it.")
    return head
