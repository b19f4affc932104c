"""The OpenAPI document, held against the official schema (through schemathesis) and against the configuration."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
import pytest
import schemathesis
from jsonschema_rs import Draft202012Validator

from proxy.admin.openapi import openapi
from proxy.config.callers import Auth
from proxy.config.model import SchemaFile
from proxy.errors import FieldMissing
from proxy.http.items import item
from proxy.record import Receipt
from tests.unit.admin.scripted import config

Json = dict[str, Any]
PRODUCE = {"topic": "orders"}
SCHEMA = {"$defs": {"sku": {"type": "string"}}, "properties": {"sku": {"$ref": "#/$defs/sku"}}, "required": ["sku"]}


def document(*routes: Mapping[str, Any]) -> Json:
    """The document for these routes, in order, and found valid."""
    made = openapi(config(*routes))
    schemathesis.openapi.from_dict(made).validate()
    unresolved = [reference for reference in references(made) if resolve(made, reference) is None]
    assert not unresolved
    return made


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


def resolve(node: Json, reference: str) -> Any:
    for step in reference.removeprefix("#/").split("/"):
        node = node.get(step, {})
    return node or None


def test_a_validator_would_notice() -> None:
    """That a valid document passes says something only if an invalid one does not."""
    broken = openapi(config())
    broken["paths"]["/orders"]["post"]["responses"] = []
    with pytest.raises(Exception, match="is not"):
        schemathesis.openapi.from_dict(broken).validate()


def test_everything_at_once_is_valid() -> None:
    made = document(
        {"route": "POST /stores/{store}/stock", "produce": {"topic": "stock", "key": "{path.store}:{body.sku}"}},
        {"route": "GET /stores/{id}/stock", "consume": {"topics": ["stock"], "group": "pricing"}},
        {"route": "GET /feed", "consume": {"topics": ["stock"], "shape": "values"}},
        {"route": "GET /restock", "consume": {"topics": ["stock"], "group": "g", "ack": "auto"}},
        {"route": "GET /sales", "consume": {"topics": ["stock"], "allow_from": True, "filter": {"key": "{query.k}"}}},
        {"route": "DELETE /stock/{sku}", "produce": {"topic": "stock", "key": "{path.sku}", "value": None}},
        {"route": "* /{rest...}", "name": "rest", "produce": PRODUCE},
    )
    assert made["info"]["title"] == "Stepbridge"
    ids = [operation["operationId"] for item in made["paths"].values() for operation in item.values()]
    assert len(set(ids)) == len(ids)


def test_a_path_parameter_is_required_text() -> None:
    made = document({"route": "POST /stores/{store}/stock", "produce": PRODUCE})
    assert made["paths"]["/stores/{store}/stock"]["post"]["parameters"] == [
        {"name": "store", "in": "path", "required": True, "schema": {"type": "string"}}
    ]


def test_paths_that_differ_in_names_only_share_an_entry() -> None:
    made = document(
        {"route": "POST /stores/{store}", "produce": PRODUCE},
        {"route": "GET /stores/{id}", "consume": {"topics": ["orders"]}},
    )
    (item,) = made["paths"].values()
    assert [operation["parameters"][0]["name"] for operation in item.values()] == ["store", "store"]


def test_a_narrow_route_is_shown_before_a_catch_all_wherever_it_stands() -> None:
    made = document(
        {"route": "* /{rest...}", "name": "rest", "produce": PRODUCE},
        {"route": "POST /{one}", "name": "one", "produce": PRODUCE},
    )
    (item,) = made["paths"].values()
    assert item["post"]["operationId"] == "one"
    assert item["put"]["operationId"] == "rest-put"
    assert set(item) == {"get", "post", "put", "patch", "delete"}


def test_what_templates_need_of_query_and_headers_is_required() -> None:
    produce = {"topic": "orders", "key": "{query.shop}", "headers": {"source": "{header.user-agent}:{query.shop}"}}
    made = document({"route": "POST /orders", "produce": produce})
    parameters = made["paths"]["/orders"]["post"]["parameters"]
    assert [(one["name"], one["in"], one["required"]) for one in parameters] == [
        ("shop", "query", True),
        ("user-agent", "header", True),
    ]


def test_what_a_filter_takes_of_the_query_may_be_left_out() -> None:
    filter_ = {"key": {"prefix": "{path.store}:"}, "body.n": {"min": "{query.least}", "max": "{query.most}"}}
    consume = {"topics": ["stock"], "allow_from": True, "filter": filter_}
    made = document({"route": "GET /stores/{store}/sales", "consume": consume})
    operation = made["paths"]["/stores/{store}/sales"]["get"]
    named = [(one["name"], one["in"], one["required"]) for one in operation["parameters"] if "name" in one]
    assert named == [("store", "path", True), ("least", "query", False), ("most", "query", False)]
    referred = {one["$ref"].rpartition("/")[2] for one in operation["parameters"] if "$ref" in one}
    assert referred == {"max", "wait", "prefer", "last-event-id", "position", "if-none-match", "from"}
    assert {"304", "422"} < set(operation["responses"])


def content(made: Json) -> Json:
    taken: Json = made["paths"]["/orders"]["post"]["requestBody"]["content"]
    return taken


def test_a_route_that_looks_into_the_body_takes_json_and_forms_with_those_fields() -> None:
    response = {"body": {"ok": True, "at": ["{body.id}"]}}
    produce = {"topic": "orders", "key": "{body.order.id}"}
    taken = content(document({"route": "POST /orders", "produce": produce, "response": response}))
    assert list(taken) == ["application/json", "application/x-www-form-urlencoded"]
    assert taken["application/json"]["schema"] == {"type": "object", "required": ["order", "id"]}


def test_a_route_that_does_not_look_takes_anything_unless_it_is_narrowed() -> None:
    assert list(content(document({"route": "POST /orders", "produce": PRODUCE}))) == ["*/*"]
    narrowed = {"topic": "orders", "content_types": ["application/xml"]}
    assert list(content(document({"route": "POST /orders", "produce": narrowed}))) == ["application/xml"]


@pytest.mark.parametrize("own_id", [None, "https://example.com/order.json"])
def test_a_routes_json_schema_still_works_inside_the_document(own_id: str | None) -> None:
    schema = SCHEMA if own_id is None else {"$id": own_id, **SCHEMA}
    produce = {"topic": "orders", "schema": SchemaFile(file="order.json", document=schema)}
    made = document({"route": "POST /orders", "produce": produce})
    assert list(content(made)) == ["application/json"]
    validator = Draft202012Validator({**made, **content(made)["application/json"]["schema"]})
    assert validator.is_valid({"sku": "a"})
    assert not validator.is_valid({"sku": 1})
    assert not validator.is_valid({})


def test_references_in_data_are_left_alone() -> None:
    schema = {"enum": [{"$ref": "#/$defs/x"}], "$ref": "#"}
    produce = {"topic": "orders", "schema": SchemaFile(file="order.json", document=schema)}
    made = openapi(config({"route": "POST /orders", "name": "o", "produce": produce}))
    moved = made["components"]["schemas"]["route.o"]
    assert moved == {"enum": [{"$ref": "#/$defs/x"}], "$ref": "#/components/schemas/route.o"}


def test_of_a_route_that_passes_on_it_is_known_to_whom_and_that_it_will_go() -> None:
    made = document(
        {"route": "* /{rest...}", "name": "rest", "upstream": "old", "deprecation": {"since": "2026-11-22"}}
    )
    for method in ("get", "put", "delete"):
        described = made["paths"]["/{rest}"][method]
        assert described["summary"] == "Passed on to old as it comes."
        assert described["deprecated"] is True
        assert set(described["responses"]) == {"default", "431", "501", "502", "503", "504"}


def test_a_tombstone_route_takes_no_body() -> None:
    produce = {"topic": "orders", "key": "{path.id}", "value": None}
    made = document({"route": "DELETE /orders/{id}", "produce": produce})
    assert "requestBody" not in made["paths"]["/orders/{id}"]["delete"]


def test_the_answer_is_the_receipt_or_the_routes_own() -> None:
    made = document(
        {"route": "POST /a", "produce": PRODUCE},
        {"route": "POST /b", "produce": PRODUCE, "response": {"status": 204}},
        {"route": "POST /c", "produce": PRODUCE, "response": {"status": 200, "body": "thanks"}},
    )
    receipt, empty, text = (made["paths"][path]["post"]["responses"] for path in ("/a", "/b", "/c"))
    assert receipt["201"]["content"] == {"application/json": {"schema": {"$ref": "#/components/schemas/Receipt"}}}
    assert "content" not in empty["204"]
    assert list(text["200"]["content"]) == ["text/plain"]
    assert {"400", "413", "415", "422", "503", "504"} <= set(receipt)


def test_a_batch_route_takes_one_or_many_and_answers_each() -> None:
    produce = {"topic": "orders", "key": "{body.id}", "batch": True}
    made = document({"route": "POST /orders", "produce": produce})
    taken, one = content(made), {"type": "object", "required": ["id"]}
    assert list(taken) == ["application/json", "application/x-www-form-urlencoded", "application/x-ndjson"]
    many = {"type": "array", "items": one, "minItems": 1}
    assert taken["application/json"]["schema"] == {"anyOf": [one, many]}
    assert taken["application/x-ndjson"]["schema"] == one
    responses = made["paths"]["/orders"]["post"]["responses"]
    receipt, batch = ({"$ref": f"#/components/schemas/{name}"} for name in ("Receipt", "Batch"))
    assert responses["201"]["content"]["application/json"]["schema"] == {"anyOf": [receipt, batch]}
    assert responses["207"]["content"]["application/json"]["schema"] == batch
    line = responses["207"]["content"]["application/x-ndjson"]["schema"]
    assert line == {"$ref": "#/components/schemas/BatchItem"}


def test_a_batch_route_with_an_answer_of_its_own_keeps_it_for_single_records() -> None:
    produce = {"topic": "orders", "batch": True, "content_types": ["application/json"]}
    made = document({"route": "POST /orders", "produce": produce, "response": {"status": 200, "body": "thanks"}})
    responses = made["paths"]["/orders"]["post"]["responses"]
    assert list(content(made)) == ["application/json"]
    assert list(responses["200"]["content"]) == ["text/plain"]
    assert responses["201"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Batch"}


@pytest.mark.parametrize("route", [{"value": None, "key": "{path.id}"}, {}])
def test_a_batch_of_anything_is_described_all_the_same(route: Json) -> None:
    produce = {"topic": "orders", "batch": True, **route}
    made = document({"route": "DELETE /orders/{id}", "produce": produce})
    assert "application/x-ndjson" in made["paths"]["/orders/{id}"]["delete"]["requestBody"]["content"]


def test_a_batchs_answer_is_as_described() -> None:
    made = document({"route": "POST /orders", "produce": {"topic": "orders", "batch": True}})
    validator = Draft202012Validator({**made, "$ref": "#/components/schemas/Batch"})
    failed = FieldMissing("why", errors=[{"pointer": "/id", "detail": "is missing or null"}])
    items = [orjson.loads(item(0, Receipt("orders", 0, 1, 2))), orjson.loads(item(1, failed))]
    assert validator.is_valid({"items": items, "retry": [1]})
    assert not validator.is_valid({"items": [{"index": 0}], "retry": []})
    assert not validator.is_valid({"items": [{**items[1], "step": "nowhere"}], "retry": []})


def test_a_reading_route_offers_its_three_forms_and_a_group_its_acks() -> None:
    made = document({"route": "GET /restock", "consume": {"topics": ["orders"], "group": "shops"}})
    forms = made["paths"]["/restock"]["get"]["responses"]["200"]["content"]
    assert list(forms) == ["application/json", "text/event-stream", "application/x-ndjson"]
    assert forms["application/json"]["schema"] == {"$ref": "#/components/schemas/LeasedRecords"}
    assert made["paths"]["/restock/ack"]["post"]["operationId"] == "get-restock-ack"


def test_a_retired_route_says_so() -> None:
    made = document({"route": "GET /feed", "consume": {"topics": ["orders"], "closed": True}})
    operation = made["paths"]["/feed"]["get"]
    assert operation["deprecated"]
    assert set(operation["responses"]) == {"204", "406", "410", "431", "500"}


@pytest.mark.parametrize("consume", [{"group": "shops", "ack": "auto"}, {}])
def test_where_nothing_is_leased_there_is_nothing_to_acknowledge(consume: Json) -> None:
    made = document({"route": "GET /feed", "consume": {"topics": ["orders"], **consume}})
    assert list(made["paths"]) == ["/feed"]


# ---- callers


def test_routes_that_ask_for_callers_say_how_they_may_show_who_they_are() -> None:
    hashed = "sha256:" + "0" * 64
    auth = {
        "keys": [{"name": "a", "hash": hashed}],
        "basic": [{"name": "b", "hash": hashed}],
        "jwt": [{"issuer": "https://id.example", "audience": "x"}],
    }
    routes = [
        {"route": "POST /any", "produce": PRODUCE, "auth": "any"},
        {
            "route": "GET /some",
            "consume": {"topics": ["a"], "group": "g"},
            "auth": {"schemes": ["jwt"], "scopes": ["x"]},
        },
        {"route": "POST /none", "produce": PRODUCE, "auth": "none"},
    ]
    asked = config(*routes).model_copy(update={"auth": Auth.model_validate(auth)})
    made = openapi(asked)
    schemathesis.openapi.from_dict(made).validate()
    assert made["components"]["securitySchemes"]["key"] == {"type": "apiKey", "in": "header", "name": "X-Api-Key"}
    assert made["paths"]["/any"]["post"]["security"] == [{"key": []}, {"basic": []}, {"jwt": []}]
    for path, method in (("/some", "get"), ("/some/ack", "post")):
        described = made["paths"][path][method]
        assert described["security"] == [{"jwt": []}]
        assert {"401", "403"} <= described["responses"].keys()
    assert "security" not in made["paths"]["/none"]["post"]
    assert "401" not in made["paths"]["/none"]["post"]["responses"]


def test_without_auth_nothing_is_said_of_callers() -> None:
    assert "securitySchemes" not in document()["components"]
