"""One job: `python -m tests.load.loader '{"job": "closed_loop", "pid": 4711, "port": 8080, ...}'`.

Prints the result as one JSON object, or says on stderr why there is none and exits 1.
"""

import sys
from functools import partial
from typing import Any

import orjson
import uvloop

from tests.load.loader.arrivals import arrivals
from tests.load.loader.closed_loop import closed_loop
from tests.load.loader.crowd import crowd
from tests.load.loader.drain import drain
from tests.load.loader.http1 import WrongAnswer
from tests.load.loader.open_loop import open_loop
from tests.load.loader.payload import PAYLOADS
from tests.load.loader.pollers import pollers
from tests.load.loader.slow import beside_slow
from tests.load.loader.stream import stream
from tests.load.usage import cpu_s, memory


async def do(job: str, pid: int, **details: Any) -> dict[str, Any]:
    """`pid` is the server, whose CPU-seconds are read; the details are the job's own arguments."""
    server_cpu_s = partial(cpu_s, pid)
    match job:
        case "closed_loop":
            requests = PAYLOADS[details.pop("payload")](details.pop("path"))
            return await closed_loop(requests=requests, cpu_s=server_cpu_s, **details)
        case "open_loop":
            requests = PAYLOADS[details.pop("payload")](details.pop("path"))
            return await open_loop(requests=requests, cpu_s=server_cpu_s, rss_mb=lambda: memory(pid).rss_mb, **details)
        case "drain":
            return await drain(cpu_s=server_cpu_s, **details)
        case "crowd":
            return await crowd(cpu_s=server_cpu_s, rss_mb=lambda: memory(pid).rss_mb, **details)
        case "slow":
            return await beside_slow(cpu_s=server_cpu_s, rss_mb=lambda: memory(pid).rss_mb, **details)
        case "pollers":
            return await pollers(cpu_s=server_cpu_s, **details)
        case "arrivals":
            return await arrivals(cpu_s=server_cpu_s, **details)
        case "stream":
            return await stream(cpu_s=server_cpu_s, **details)
        case _:
            raise ValueError(f"no such job: {job}")


if __name__ == "__main__":
    try:
        print(orjson.dumps(uvloop.run(do(**orjson.loads(sys.argv[1])))).decode())
    except (WrongAnswer, OSError) as reason:
        sys.exit(f"{type(reason).__name__}: {reason}")
