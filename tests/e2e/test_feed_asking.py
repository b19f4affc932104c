"""What readers without a group may ask in odd ways, and what they are told soon although they do not wait."""

import re
import time

import httpx
import pytest
import pytest_asyncio

from proxy.consume.feeds.position import Layout, Mark
from proxy.consume.token import Signer
from tests.e2e.configuration import SECRET, consume
from tests.e2e.events import SSE
from tests.e2e.records import write
from tests.e2e.shared import SharedBridge
from tests.kafka.cluster import Kafka
from tests.unit.http.served import Client


@pytest.fixture(scope="module")
def spare() -> dict[int, int]:
    return {1: 17}


@pytest_asyncio.fixture
async def topic(shared: SharedBridge, kafka: Kafka, http: httpx.AsyncClient) -> str:
    """A topic with one record, and GET /feed, which reads it from its beginning and has done so once."""
    name = shared.topic(1)
    await write(kafka, name, b"0")
    await shared.add(consume("GET /feed", name, from_="earliest", heartbeat_ms=300))
    assert len((await http.get("/feed?wait=5")).json()["records"]) == 1
    return name


# ---- headers and queries


@pytest.mark.parametrize("said", ["\u00b2", "1\u00b2", "high", "-1", "99999999999", ""])
async def test_a_preference_that_cannot_be_read_is_ignored(topic: str, http: httpx.AsyncClient, said: str) -> None:
    answer = await http.get("/feed", headers=[(b"prefer", f"wait={said}".encode("latin-1"))])
    assert (answer.status_code, len(answer.json()["records"])) == (200, 1)


async def test_a_preference_may_stand_in_any_of_several_headers(topic: str, http: httpx.AsyncClient) -> None:
    end = (await http.get("/feed")).json()["next"]
    began_s = time.monotonic()
    answer = await http.get("/feed", params={"position": end}, headers=[("prefer", "wait=0"), ("prefer", "x")])
    assert answer.status_code == 200
    assert time.monotonic() - began_s < 5


@pytest.mark.parametrize(("accepted", "status"), [(SSE, 200), ("text/html", 406)])
async def test_several_accept_headers_are_one_list(
    topic: str, http: httpx.AsyncClient, accepted: str, status: int
) -> None:
    """RFC 9110, 5.3."""
    for lines in ([accepted, "image/png"], ["image/png", accepted]):
        async with http.stream("GET", "/feed", headers=[("accept", line) for line in lines]) as answer:
            assert answer.status_code == status, lines


async def test_several_if_none_match_headers_are_one_list(topic: str, http: httpx.AsyncClient) -> None:
    end = (await http.get("/feed")).json()["next"]
    tags = [("if-none-match", f'W/"{end}"'), ("if-none-match", '"other"')]
    assert (await http.get("/feed", params={"position": end, "wait": 0}, headers=tags)).status_code == 304


@pytest.mark.parametrize("accept", ["*/*", SSE])
async def test_a_query_of_more_fields_than_are_read_is_refused(
    topic: str, http: httpx.AsyncClient, accept: str
) -> None:
    query = "&".join(f"a{number}=1" for number in range(1_100))
    answer = await http.get(f"/feed?{query}", headers={"accept": accept})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")


@pytest.mark.parametrize("path", ["/a>b/feed", "/%C3%A9,%22;%3E/feed"])
async def test_the_link_to_the_next_page_is_one_whatever_the_path_holds(
    path: str, topic: str, shared: SharedBridge, http: httpx.AsyncClient
) -> None:
    await shared.add(consume("GET /{any}/feed", topic, from_="earliest"))
    plain = await Client.connect(shared.process.port)
    plain.send(f"GET {path}?wait=0 HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    head = (await plain.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    plain.close()
    [link] = re.findall(r"^link: <([^>]*)>; rel=next\r$", head, re.MULTILINE)
    answer = await http.get(f"{link}&wait=0")
    assert (answer.status_code, answer.json()["records"]) == (200, [])


# ---- what is known soon


@pytest.mark.parametrize("wait_s", [0, 1])
async def test_a_position_ahead_of_the_log_is_gone_also_for_those_who_hardly_wait(
    wait_s: int, topic: str, kafka: Kafka, http: httpx.AsyncClient
) -> None:
    """The topic was made anew and is shorter, or its newest records went with a broker."""
    answer = await http.get("/feed", params={"position": await ahead(kafka, topic, 9), "wait": wait_s})
    assert (answer.status_code, answer.json()["code"]) == (410, "position_gone")
    [lost] = answer.json()["lost"]
    assert (lost["partition"], lost["position"], lost["begins"], lost["ends"]) == (0, 9, 0, 1)
    following = await http.get("/feed", params={"position": answer.json()["next"], "wait": 0})
    assert [record["value"] for record in following.json()["records"]] == [0]


async def ahead(kafka: Kafka, topic: str, offset: int) -> str:
    """A position there, as any replica would sign it."""
    async with kafka.admin() as admin:
        cluster_id = (await admin.describe_cluster())["cluster_id"]
    return Layout(cluster_id, {topic: 1}, Signer([SECRET])).token((Mark(offset, 1),))


async def test_who_begins_at_the_beginning_of_a_quiet_topic_does_not_wait_for_a_fetch(
    topic: str, http: httpx.AsyncClient
) -> None:
    """Kafka answers one connection's requests in turn, and a fetch of what is not there yet takes half a second."""
    took_s = []
    for _ in range(4):
        began_s = time.monotonic()
        assert (await http.get("/feed?wait=0")).status_code == 200
        took_s.append(time.monotonic() - began_s)
    assert min(took_s) < 0.2
