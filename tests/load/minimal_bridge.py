"""The least a REST-to-Kafka bridge can be in Python: one route, a key, `send()`, acks from all, a receipt.

No limits, no metrics, no deadline, no refusal but 500: what the full route is measured against.
Started by uvicorn; `BENCH_BOOTSTRAP` and `BENCH_TOPIC` say where to write.
"""

import os
from typing import Any

import orjson
from aiokafka import AIOKafkaProducer

TOPIC = os.environ.get("BENCH_TOPIC", "")
producer: AIOKafkaProducer | None = None


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    else:
        await produce(scope, receive, send)


async def lifespan(receive: Any, send: Any) -> None:
    global producer
    await receive()
    producer = AIOKafkaProducer(
        bootstrap_servers=os.environ["BENCH_BOOTSTRAP"],
        acks="all",
        enable_idempotence=True,
        linger_ms=0,
        max_batch_size=131_072,
    )
    await producer.start()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await producer.stop()
    await send({"type": "lifespan.shutdown.complete"})


async def produce(scope: Any, receive: Any, send: Any) -> None:
    assert producer is not None
    body, more = b"", True
    while more:
        message = await receive()
        body += message["body"]
        more = message["more_body"]
    key = f"{scope['path'].split('/')[2]}:{orjson.loads(body)['sku']}".encode()
    written = await (await producer.send(TOPIC, body, key))
    receipt = {
        "topic": TOPIC,
        "partition": written.partition,
        "offset": written.offset,
        "timestamp_ms": written.timestamp,
    }
    answer = orjson.dumps(receipt)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": answer})
