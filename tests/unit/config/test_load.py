from pathlib import Path

import pytest

from proxy.config.load import ConfigMistakes, load
from tests.unit.config.files import A_ROUTE, HEAD, load_text, mistakes, with_routes


def test_a_file_becomes_models_with_every_default_filled_in(tmp_path: Path) -> None:
    config = load_text(
        tmp_path,
        with_routes("""
            - route: POST  /stores/{store}/stock
              produce: {topic: retail.stock-levels, key: "{path.store}"}
            - route: GET /changes
              consume: {topics: [retail.stock-levels], group: inventory}
            - route: GET /feed
              consume: {topics: [retail.stock-levels]}
        """),
    )
    stock, changes, feed = config.routes
    assert (stock.name, stock.method, stock.path) == ("post-stores-store-stock", "POST", "/stores/{store}/stock")
    assert stock.produce is not None
    assert (stock.produce.timeout_ms, stock.produce.value) == (10_000, "{body}")
    assert changes.consume is not None
    assert (changes.consume.ack, changes.consume.from_, changes.ack_path) == ("explicit", "earliest", "/changes/ack")
    assert feed.consume is not None
    assert (feed.consume.ack, feed.consume.from_, feed.ack_path) == (None, "latest", None)
    assert (config.server.port, config.limits.streams, config.drain.timeout_ms) == (8080, 10_000, 30_000)


def test_ten_mistakes_of_ten_kinds_are_ten_lines_each_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text('{"type": "strin"}')
    text = """\
        kafka:
          bootstrap_servers: "${KAFKA}"
          session_timeout_ms: ten
        topics: {create: on}
        server: {host: 0.0.0.0, prot: 8080}
        routes:
          - route: POST /stores/{store}/stock
            produce:
              topic: retail stock
              key: "{path.shop}"
              schema: broken.json
              on_outage: spool
          - route: POST /stores/{x}/stock
            name: again
            produce: {topic: a}
        """
    expected = """\
        2:22: kafka.bootstrap_servers: KAFKA is not set in the environment
        3:23: kafka.session_timeout_ms: is 'ten', must be a whole number of milliseconds, such as 5000
        4:18: topics.create: on is a truth value to some YAML readers and text to others: write true or false
        5:16: server.host: 0.0.0.0 lets other machines in: write `auth: none` if anyone may, say there who may, or
        5:25: server.prot: unknown key, did you mean port?
        9:14: routes[0].produce.topic: 'retail stock' is no topic name: letters, digits
        10:12: routes[0].produce.key: {path.shop} is not in the route POST /stores/{store}/stock
        11:15: routes[0].produce.schema: broken.json cannot be used: it is no JSON Schema: at /type
        12:18: routes[0].produce.on_outage: this value is not in this version, must be 'reject'
        13:12: routes[1].route: takes the same requests as routes[0] (POST /stores/{store}/stock)
        """
    found = mistakes(tmp_path, text)
    lines = [line.strip() for line in expected.strip().splitlines()]
    assert [line[: len(start)] for line, start in zip(found, lines, strict=True)] == lines


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("kafka: [\n", "2:1: file: is not YAML: while parsing a flow node, did not find expected node content"),
        ("kafka: {}\n\tx: 1\n", "2:1: file: is not YAML: there is a tab, and YAML is indented with spaces"),
        ("- a\n", "1:1: file: is a list, must be a mapping (key: value)"),
        ("just text\n", "1:1: file: is 'just text', must be a mapping (key: value)"),
        ("a: 1\n---\nb: 2\n", "2:1: file: is not YAML: expected a single document"),
        ("a: \x01\n", "1:4: file: is not YAML: control characters are not allowed"),
        ("[" * 5_000 + "]" * 5_000, "1:1: file: is nested too deeply, or its aliases repeat too much"),
    ],
)
def test_a_file_that_is_no_yaml_mapping_is_one_mistake(tmp_path: Path, text: str, mistake: str) -> None:
    (found,) = mistakes(tmp_path, text)
    assert found.startswith(mistake)


def test_an_empty_file_says_what_is_missing(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "") == ["1:1: kafka: is missing", "1:1: routes: is missing"]


def test_a_file_that_cannot_be_read_is_one_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigMistakes, match=r"none\.yaml:1:1: file: cannot be read: No such file or directory"):
        load(tmp_path / "none.yaml", {})
    (tmp_path / "latin.yaml").write_bytes(b"# caf\xe9\n")
    with pytest.raises(ConfigMistakes, match=r"latin\.yaml:1:1: file: cannot be read: it is not UTF-8 text"):
        load(tmp_path / "latin.yaml", {})


@pytest.mark.parametrize(
    ("content", "mistake"),
    [
        (None, "No such file or directory"),
        (b"{", "it is not JSON: "),
        (b'{"a": "\xff"}', "it is not JSON: "),
        (b"[]", "it is no JSON Schema: at /: [] is not of types"),
        (b'{"$ref": "https://example.com/x.json"}', "https://example.com/x.json is outside the file"),
        (b'{"$ref": "other.json"}', "Resource 'other.json' is not present"),
        (b'{"$ref": "#/$defs/none"}', "it is no JSON Schema"),
        (b'{"pattern": "(?=a)b"}', "look-around and back-references are not supported"),
    ],
)
def test_a_schema_file_that_cannot_be_used_is_a_mistake_of_its_key(
    tmp_path: Path, content: bytes | None, mistake: str
) -> None:
    if content is not None:
        (tmp_path / "x.json").write_bytes(content)
    routes = "- route: POST /a\n  produce: {topic: a, schema: x.json}"
    (found,) = mistakes(tmp_path, with_routes(routes))
    assert found.startswith("4:33: routes[0].produce.schema: x.json cannot be used: ")
    assert mistake in found


def test_a_schema_file_is_found_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "a.json").write_text('{"type": "object"}')
    config = load_text(tmp_path, with_routes("- route: POST /a\n  produce: {topic: a, schema: schemas/a.json}"))
    produce = config.routes[0].produce
    assert produce is not None
    assert produce.schema_ is not None
    assert (produce.schema_.file, produce.schema_.document) == ("schemas/a.json", {"type": "object"})


def test_a_value_that_could_not_be_made_out_is_not_judged_again(tmp_path: Path) -> None:
    text = HEAD + A_ROUTE + "server: {port: '${PORT}', host: '${HOST}'}\n"
    assert [line.split(": ")[1] for line in mistakes(tmp_path, text)] == ["server.port", "server.host"]


def test_variables_become_the_numbers_and_texts_that_are_asked_for(tmp_path: Path) -> None:
    text = HEAD + A_ROUTE + "server: {port: '${PORT}'}\ntopics: {create: '${CREATE:-true}'}\nsecret: '${SECRET}'\n"
    config = load_text(tmp_path, text, {"PORT": "18080", "SECRET": "0123456789abcdef"})
    assert (config.server.port, config.topics.create) == (18080, True)
    assert [secret.get_secret_value() for secret in config.secret] == ["0123456789abcdef"]


@pytest.mark.parametrize(
    "secret", ["99887766", "'${SECRET}'", "[99887766, 12345678901234567]", "{k: 99887766}", "0112233", "11:22:33"]
)
def test_a_secret_is_in_no_mistake(tmp_path: Path, secret: str) -> None:
    found = mistakes(tmp_path, HEAD + A_ROUTE + f"secret: {secret}\n", {"SECRET": "99887766"})
    assert found
    for line in found:
        assert ": secret" in line
        assert not any(digits in line for digits in ("9988", "112233", "11:22:33"))


def test_a_secret_is_in_no_repr(tmp_path: Path) -> None:
    config = load_text(tmp_path, HEAD + A_ROUTE + "secret: [key-0123456789abcdef, fedcba9876543210]\n")
    assert len(config.secret) == 2
    assert "key-0123456789abcdef" not in repr(config)


def test_mistakes_are_told_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = "limits: {in_flight: 0}\nobserve: {log_level: loud}\n" + HEAD + A_ROUTE + "drain: {timeout_ms: x}\n"
    assert [line.split(":")[0] for line in mistakes(tmp_path, text)] == ["1", "2", "7"]
