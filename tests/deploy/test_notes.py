"""The curl that an installation ends with: the route takes it, and the service is the one that was installed."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import orjson
import pytest
import yaml

from proxy.config.load import load
from proxy.config.model import Config
from proxy.record import Record
from proxy.routes.recipe import RecordRecipe
from proxy.routes.request import Request
from proxy.routes.table import RouteTable
from tests.deploy.chart import CHECKOUT, VALUES, notes, render
from tests.deploy.pod import configuration

pytestmark = pytest.mark.needs("helm")
BY_NAME = {path.stem: path for path in VALUES}
SHIPPED = CHECKOUT / "config"


@dataclass(frozen=True)
class Call:
    """What a curl command sends."""

    method: str
    path: str
    query: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    port: int | None

    @classmethod
    def read(cls, command: str) -> "Call":
        """Reads the options that the notes use, and stumbles over any other."""
        words = iter(shlex.split(command))
        assert next(words) == "curl"
        method, url, headers, body = "GET", "", [(b"user-agent", b"curl/8")], ""
        for word in words:
            match word:
                case "-si" | "-sik":
                    pass
                case "-u" | "--cert" | "--key":
                    headers.append((word.encode(), next(words).encode()))
                case "-X":
                    method = next(words)
                case "-H":
                    name, value = next(words).split(": ", 1)
                    headers.append((name.lower().encode(), value.encode()))
                case "-d":
                    body = next(words)
                    method = "POST" if method == "GET" else method
                case _:
                    assert not url, f"{word} beside {url}"
                    url = word
        parts = urlsplit(url)
        assert parts.hostname == "localhost"
        return cls(method, unquote(parts.path), parts.query.encode(), headers, body.encode(), parts.port)


def last_lines(said: str) -> tuple[str, str]:
    """The command that forwards a port, and the curl after it."""
    *_, forward, curl = [line.strip() for line in said.strip().splitlines()]
    return forward, curl


def records_of(call: Call, config: Config) -> list[Record]:
    """The records that the bridge would write. Raises ProxyError, as it would."""
    table = RouteTable.build([(route.method, route.path, route) for route in config.routes])
    route, path = table.match(call.method, quote(call.path).encode())
    assert route.produce is not None
    recipe = RecordRecipe.compile(route)
    bodies = [orjson.dumps(item) for item in orjson.loads(call.body)] if route.produce.batch else [call.body]
    return [recipe.record(Request(path, call.query, call.headers, body)) for body in bodies]


def last_call(values: Path, directory: Path, *more: str) -> Call:
    """What the last line of the notes sends, through the port that the line before it forwards to the service."""
    *_, forward, curl = [line.strip() for line in notes(values, directory, *more).splitlines() if line.strip()]
    call = Call.read(curl)
    (service,) = [one for one in render(values, *more).all("Service") if one["metadata"]["name"] == "shop-stepbridge"]
    ports = f"{call.port}:{service['spec']['ports'][0]['port']}"
    assert forward == f"kubectl --namespace retail port-forward service/shop-stepbridge {ports} &"
    return call


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_the_bridge_would_take_the_curl_that_the_notes_end_with(values: Path, tmp_path: Path) -> None:
    call = last_call(values, tmp_path)
    assert records_of(call, configuration(render(values), tmp_path))


@pytest.fixture(scope="module")
def retail(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped scenario as values: its routes, and its schemas beside them."""
    config = yaml.safe_load((SHIPPED / "retail.yaml").read_text())
    del config["drain"]
    schemas = {path.name: path.read_text() for path in (SHIPPED / "schemas").glob("*.json")}
    path = tmp_path_factory.mktemp("values") / "retail.yaml"
    path.write_text(yaml.safe_dump({"config": config, "schemas": schemas, "secrets": {"existingSecret": "bridge"}}))
    return path


WRITING = [route.name for route in load(SHIPPED / "retail.yaml", {}).routes if route.produce]


@pytest.mark.parametrize("route", WRITING)
def test_a_body_is_made_up_that_fits_the_schema_of_the_route(retail: Path, route: str, tmp_path: Path) -> None:
    call = last_call(retail, tmp_path, f"--set=notes.route={route}")
    assert len(records_of(call, configuration(render(retail), tmp_path))) == 1


def test_the_body_and_headers_of_the_values_beat_what_is_made_up(tmp_path: Path) -> None:
    body = '--set-json=notes.body={"sku": "A 1\'s", "level": 7}'
    call = last_call(BY_NAME["minimal"], tmp_path, body, "--set=notes.headers[0]=X-Api-Key: $KEY")
    assert orjson.loads(call.body) == {"sku": "A 1's", "level": 7}
    assert (b"x-api-key", b"$KEY") in call.headers


@pytest.mark.parametrize(
    ("auth", "shown"),
    [
        ({}, (b"x-api-key", b"$KEY")),
        ({"key_header": "X-Till"}, (b"x-till", b"$KEY")),
        ({"keys": None, "file": None, "basic": [{"name": "till", "hash": "…"}]}, (b"-u", b"$USER_NAME:$PASSWORD")),
        ({"keys": None, "file": None, "jwt": [{"issuer": "…"}]}, (b"authorization", b"Bearer $TOKEN")),
        ({"keys": None, "file": None}, (b"--cert", b"client.crt")),
    ],
)
def test_a_route_that_asks_who_calls_is_shown_something(
    auth: dict[str, object], shown: tuple[bytes, bytes], tmp_path: Path
) -> None:
    more = orjson.dumps({"config": {"auth": auth}}).decode()
    (tmp_path / "auth.json").write_text(more)
    call = last_call(BY_NAME["secured"], tmp_path / "copy", "--values", str(tmp_path / "auth.json"))
    assert shown in call.headers


def test_a_bridge_that_only_reads_is_asked_for_a_page(tmp_path: Path) -> None:
    routes = '[{"route": "GET /stores/{store}/changes", "consume": {"topics": ["retail.stock-levels"]}}]'
    call = last_call(BY_NAME["minimal"], tmp_path, f"--set-json=config.routes={routes}")
    assert (call.method, call.path, call.query) == ("GET", "/stores/sample-store/changes", b"wait=5")


def test_every_address_of_the_ingress_is_named(tmp_path: Path) -> None:
    said = notes(BY_NAME["ingress"], tmp_path)
    assert re.findall(r"https?://\S+example\S+", said) == ["https://shop.example.com", "https://www.example.com"]


@pytest.mark.parametrize("schema", ["true", "[]", "no JSON", '{"required": ["sku"], "properties": {"sku": true}}'])
def test_an_odd_schema_keeps_nothing_from_being_installed(schema: str, tmp_path: Path) -> None:
    file = tmp_path / "odd.json"
    file.write_text(schema)
    call = last_call(BY_NAME["full"], tmp_path / "copy", f"--set-file=schemas.stock-level\\.json={file}")
    assert orjson.loads(call.body)["sku"]
