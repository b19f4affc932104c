"""What a run of the demo stands on: a broker, and a bridge that is ready, both ended with it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp

from proxy.demo.bridge import Bridge, running_bridge
from proxy.demo.broker import embedded_broker
from proxy.demo.process import free_port
from proxy.demo.retail import TOPICS
from proxy.demo.topics import make_topics
from proxy.shipped import shipped

Say = Callable[[str], None]
CONNECT_TIMEOUT_S = 5.0
SILENCE_S = 60.0  # the bridge's heartbeats are more frequent: a connection this silent is dead
LINE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line may say. Ports are wishes: a taken one is replaced by a free one."""

    bootstrap: str | None = None  # host:port of a Kafka that is there already; None: the embedded broker
    port: int = 8080
    admin_port: int = 9090
    page_port: int = 8088
    per_second: float = 40.0  # POSTs of all stores together, in the live demo


@asynccontextmanager
async def set_stage(options: Options, say: Say) -> AsyncIterator[Bridge]:
    """Raises DemoFailed if the broker or the bridge does not come up."""
    with TemporaryDirectory(prefix="stepbridge-demo-", ignore_cleanup_errors=True) as logs:
        async with broker(options, TOPICS, Path(logs), say) as bootstrap:
            say("starting the bridge: stepbridge serve --config retail.yaml")
            async with running_bridge(
                shipped("retail.yaml"),
                bootstrap=bootstrap,
                port=free_port(options.port),
                admin_port=free_port(options.admin_port),
                log=Path(logs, "bridge.log"),
                say=say,
            ) as bridge:
                say(f"the bridge is ready at {bridge.url}, its admin side at {bridge.admin_url}")
                yield bridge


@asynccontextmanager
async def broker(
    options: Options, topics: Sequence[str], logs: Path, say: Say, *, internal: Sequence[str] = ()
) -> AsyncIterator[str]:
    """The address of a Kafka with these topics. `internal`: the bridge's own, which the embedded broker cannot make."""
    if options.bootstrap is not None:
        say(f"making the demo's topics in the Kafka at {options.bootstrap}")
        await asyncio.to_thread(make_topics, options.bootstrap, topics)
        yield options.bootstrap
        return
    say("starting an embedded broker")
    async with embedded_broker([*topics, *internal], log=logs / "broker.log") as bootstrap:
        say(f"the broker is ready at {bootstrap}, with {len(topics)} topics")
        yield bootstrap


def client_session(url: str) -> aiohttp.ClientSession:
    """One for all clients of a run; streams may last for ever, so only silence ends a request."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=SILENCE_S)
    return aiohttp.ClientSession(
        url,
        timeout=timeout,
        connector=aiohttp.TCPConnector(limit=0),
        read_bufsize=LINE_BYTES,
        headers={"User-Agent": "stepbridge-demo"},
    )
