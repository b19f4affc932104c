"""The files of `config/` say what the models say."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import jsonschema_rs
import orjson
import pytest
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from proxy.config.document import read_document
from proxy.config.kafka_security import KafkaSecurity, OAuth
from proxy.config.load import load
from proxy.config.migration import Compare, Internal, Migrate
from proxy.config.mistake import Path as KeyPath
from proxy.config.model import (
    AccessLog,
    Admin,
    Config,
    Consume,
    Cors,
    Drain,
    Kafka,
    Limits,
    Observe,
    Peer,
    Produce,
    Rates,
    Response,
    Route,
    RouteLimits,
    Server,
    Topics,
    Tracing,
)
from proxy.config.schema import editor_schema, editor_schema_text
from proxy.config.tls import ListenerTls, PeerTls
from proxy.config.upstreams import Breaker, Deprecation, Health, UpstreamService, UpstreamTls

CONFIG = Path(__file__).parents[3] / "config"
SECRET = {"STEPBRIDGE_SECRET": "0123456789abcdef"}

# In reference.yaml the first route produces, the second consumes, and the third has what goes without a group. Their
# defaults are said in words: each stands for an example, or depends on another key.
ROUTE_0, ROUTE_1, ROUTE_2 = ("routes", 0), ("routes", 1), ("routes", 2)
INVENTORY = ("upstreams", "inventory")
WITHOUT_GROUP = ("allow_from", "filter")
SECTIONS: dict[KeyPath, type[BaseModel]] = {
    ("kafka",): Kafka,
    ("topics",): Topics,
    ("server",): Server,
    ("server", "tls"): ListenerTls,
    ("admin",): Admin,
    ("admin", "tls"): ListenerTls,
    ("peer",): Peer,
    ("peer", "tls"): PeerTls,
    ("kafka", "security"): KafkaSecurity,
    ("kafka", "security", "oauth"): OAuth,
    ("limits",): Limits,
    ("limits", "rate"): Rates,
    ("drain",): Drain,
    ("observe",): Observe,
    ("observe", "access_log"): AccessLog,
    ("observe", "tracing"): Tracing,
    (*ROUTE_0, "produce"): Produce,
    ("kafka", "internal"): Internal,
    (*ROUTE_0, "migrate"): Migrate,
    (*ROUTE_0, "migrate", "compare"): Compare,
    (*ROUTE_0, "response"): Response,
    (*ROUTE_0, "limits"): RouteLimits,
    (*ROUTE_0, "limits", "rate"): Rates,
    (*ROUTE_0, "cors"): Cors,
    (*ROUTE_0, "deprecation"): Deprecation,
    (*ROUTE_1, "consume"): Consume,
    INVENTORY: UpstreamService,
    (*INVENTORY, "breaker"): Breaker,
    (*INVENTORY, "health"): Health,
    (*INVENTORY, "tls"): UpstreamTls,
}
UNITS = {"_ms": "Milliseconds.", "_bytes": "Bytes."}


def fields() -> Iterator[tuple[KeyPath, FieldInfo]]:
    """Every key of the file, where reference.yaml has it, and its field."""
    for name, field in Config.model_fields.items():
        yield (name,), field
    for name, field in Route.model_fields.items():
        yield (*(ROUTE_1 if name == "consume" else ROUTE_0), name), field
    for path, model in SECTIONS.items():
        for name, field in model.model_fields.items():
            at = (*ROUTE_2, "consume") if name in WITHOUT_GROUP else path
            yield (*at, field.alias or name), field


def default_in_words(field: FieldInfo) -> str:
    """How reference.yaml begins to say a default; the rest is up to it where there is no plain value."""
    if field.is_required():
        return "Required"
    default = field.default
    if field.alias == "from":
        return "Default: earliest with a group, else latest"
    if default in (None, (), {}) or isinstance(default, BaseModel) or default == "":
        return "Default: "
    return f"Default: {str(default).lower() if isinstance(default, bool) else default}"


REFERENCE = re.sub("^( *)#: ", r"\1", (CONFIG / "reference.yaml").read_text(), flags=re.MULTILINE)
DOCUMENT = read_document(REFERENCE, "reference.yaml")
FIELDS = dict(fields())


def comment_above(path: KeyPath) -> str:
    """The comment lines that stand directly above a key, as one text."""
    lines = REFERENCE.splitlines()
    line = DOCUMENT.keys[path][0] - 2
    words: list[str] = []
    while lines[line].lstrip().startswith("#"):
        words.insert(0, lines[line].strip().removeprefix("# "))
        line -= 1
    return " ".join(words)


def value_at(path: KeyPath) -> Any:
    value = DOCUMENT.data
    for step in path:
        value = value[step]
    return value


@pytest.mark.parametrize("path", FIELDS, ids=str)
def test_the_reference_says_what_each_key_is_for_with_unit_and_default(path: KeyPath) -> None:
    field = FIELDS[path]
    comment = comment_above(path)
    assert (field.description or "no description").removesuffix(".") in comment
    is_section = any(isinstance(each, type) and issubclass(each, BaseModel) for each in sections_in(field))
    if not is_section:
        assert default_in_words(field) in comment
    for ending, unit in UNITS.items():
        assert (unit in comment) == str(path[-1]).endswith(ending)


@pytest.mark.parametrize("path", FIELDS, ids=str)
def test_each_key_of_the_reference_has_its_default(path: KeyPath) -> None:
    default = FIELDS[path].default
    if isinstance(default, (int, str)) and default != "" and path[-1] not in ("from", "name", "allow_from"):
        assert value_at(path) == default


def test_the_reference_has_no_other_keys_than_the_models() -> None:
    known = {path for path in DOCUMENT.keys if not re.search(r"headers|body'|filter", str(path[:-1]))}
    without_group = {(*ROUTE_2, "route"), (*ROUTE_2, "consume"), (*ROUTE_2, "consume", "topics")}
    assert known <= set(FIELDS) | {(*ROUTE_1, "route"), INVENTORY} | without_group


def sections_in(field: FieldInfo) -> tuple[Any, ...]:
    return (field.annotation, *get_args(field.annotation))


def test_the_editors_schema_is_the_models() -> None:
    """If this fails: python -m proxy.config.schema > config/stepbridge.schema.json."""
    assert (CONFIG / "stepbridge.schema.json").read_bytes() == editor_schema_text()


@pytest.mark.parametrize("name", sorted(path.name for path in CONFIG.glob("*.yaml")))
def test_a_shipped_file_loads_fits_the_editors_schema_and_writes_auth_out(name: str) -> None:
    config = load(CONFIG / name, SECRET)
    text = (CONFIG / name).read_text()
    assert text.startswith("# yaml-language-server: $schema=stepbridge.schema.json\n")
    assert "\nauth: none" in text if config.auth is None else config.auth.schemes
    jsonschema_rs.validator_for(editor_schema()).validate(yaml.safe_load(text))


def test_the_editors_schema_refuses_what_the_loader_refuses() -> None:
    validator = jsonschema_rs.validator_for(editor_schema())
    good: dict[str, Any] = {
        "kafka": {"bootstrap_servers": "a:1"},
        "routes": [{"route": "POST /a", "produce": {"topic": "a", "partition": 1, "schema": "x.json"}}],
        "server": {"port": "${PORT}"},
        "secret": "0123456789abcdef",
    }
    validator.validate(good)
    for section, bad in [
        ("server", {"prot": 1}),
        ("server", {"port": "x"}),
        ("limits", {"streams": 0}),
        ("routes", []),
    ]:
        assert not validator.is_valid(good | {section: bad})


@pytest.mark.parametrize("path", sorted((CONFIG / "schemas").glob("*.json")), ids=lambda path: path.name)
def test_a_shipped_schema_is_used_by_a_shipped_file(path: Path) -> None:
    assert orjson.loads(path.read_bytes())["title"]
    assert any(f"schemas/{path.name}" in file.read_text() for file in CONFIG.glob("*.yaml"))
