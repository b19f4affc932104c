"""One bridge that the tests of a module share: each adds routes of its own by a reload, and they go with it.

A bridge for each test would take as long again as the tests themselves. So would topics made for each: the bridge
looks for new ones once a second. Hence the spare topics, which it knows from the start.
"""

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiokafka.admin import NewTopic

from tests.bridge import Bridge
from tests.e2e.client import client
from tests.e2e.configuration import Route, config, produce
from tests.e2e.records import until
from tests.kafka.cluster import Kafka


class SharedBridge:
    """The bridge's process, the routes it has now, and topics that no test has used yet."""

    def __init__(self, kafka: Kafka, directory: Path, spare: Mapping[int, int], sections: Mapping[str, Any]) -> None:
        """`spare` says how many topics of how many partitions it shall have."""
        name = uuid.uuid4().hex[:8]
        self._spare = {n: [f"e2e-{name}-{n}-{i}" for i in range(count)] for n, count in spare.items()}
        self._kafka = kafka
        self._sections = sections
        self._known = [produce(f"POST /spare/{topic}", topic) for topics in self._spare.values() for topic in topics]
        self._routes: list[Route] = []
        self.process = Bridge(self._config(), directory)

    def __repr__(self) -> str:
        return f"<SharedBridge {self.process!r} {len(self._routes)} routes>"

    @property
    def base_url(self) -> str:
        return self.process.base_url

    @property
    def admin_url(self) -> str:
        return self.process.admin_url

    def topic(self, partitions: int = 2) -> str:
        """A topic that nobody has used yet."""
        assert self._spare[partitions], (
            f"no topic of {partitions} partitions is left: the module's fixture `spare` has the number"
        )
        return self._spare[partitions].pop()

    async def start(self) -> None:
        """Make the topics, start the process, and wait until it knows them all."""
        topics = [NewTopic(topic, n, 1) for n, names in self._spare.items() for topic in names]
        async with self._kafka.admin() as admin:
            await admin.create_topics(topics)
        self.process.start()
        await self.process.ready()
        await until(self._knows_all)

    async def add(self, *routes: Route) -> None:
        """Put routes in force beside those that are there."""
        self._routes += routes
        await self.restore()

    async def clear(self) -> None:
        """Take all routes of a test away again."""
        if self._routes:
            self._routes = []
            await self.restore()

    def _config(self) -> str:
        return config(self._kafka, *self._known, *self._routes, **self._sections)

    async def restore(self) -> None:
        """Put the file in force that holds its routes, whatever a test has put there."""
        self.process.write_config(self._config())
        async with client(self.admin_url) as admin:
            answer = await admin.post("/admin/reload")
        assert answer.status_code == 200, answer.text

    async def _knows_all(self) -> bool:
        async with client(self.admin_url) as admin:
            return (await admin.get("/readyz?strict=1")).status_code == 200
