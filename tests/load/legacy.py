"""The service behind a passthrough: it reads a body and answers 201 with a few bytes, as cheaply as ASGI can."""

from typing import Any

BODY = b'{"ok":true,"sku":"sku-0000000000","quantity":5}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY)), (b"x-legacy", b"1")]
START = {"type": "http.response.start", "status": 201, "headers": HEADERS}
END = {"type": "http.response.body", "body": BODY}


async def app(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send(START)
    await send(END)
