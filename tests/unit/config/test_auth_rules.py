"""What may stand together of callers and rights, and a file of callers."""

from pathlib import Path

import pytest

from tests.unit.config.files import HEAD, load_text, mistakes

HASH = "sha256:" + "0" * 64
SCRYPT = "scrypt:15:8:1:Qlul8NDi6xkk7xj290cKqg:mUGrWFmYPpiNhB9rXnX2I0F0MxSGfGLzmvBnMVA9nSU"
CALLERS = f"auth: {{keys: [{{name: a, hash: '{HASH}'}}]}}\n"
ROUTE = "routes:\n  - route: POST /{store}/a\n    produce: {topic: a}\n"


def with_auth(said: str) -> str:
    return HEAD + CALLERS + ROUTE + f"    auth: {said}\n"


@pytest.mark.parametrize(
    "said",
    [
        "none",
        "any",
        "{scopes: ['store:{path.store}']}",
        "{principals: ['key:{header.x-name}'], schemes: [key]}",
        "{claims: {store: '{body.store}'}}",
        "{scopes: [a], or: [{schemes: [basic]}]}",
    ],
)
def test_a_route_says_who_may_call_it(tmp_path: Path, said: str) -> None:
    assert mistakes(tmp_path, with_auth(said)) == []


@pytest.mark.parametrize(
    ("said", "mistake"),
    [
        ("all", "routes[0].auth: is 'all', must be none, any, or a mapping of what a caller needs"),
        ("{}", "routes[0].auth: asks for nothing: write `auth: any`"),
        ("{or: [{}], scopes: [a]}", "routes[0].auth.or[0]: asks for nothing"),
        ("{scope: [a]}", "routes[0].auth.scope: unknown key, did you mean scopes?"),
        ("{schemes: [cookie]}", "routes[0].auth.schemes[0]: cookie is no scheme of this file: there are key, basic"),
        ("{principals: [ops]}", "routes[0].auth.principals[0]: 'ops' is no id: write scheme:name"),
        ("{principals: ['jwt:ops']}", "routes[0].auth.principals[0]: 'jwt:ops' is no id"),
        ("{scopes: ['{path.shop}']}", "routes[0].auth.scopes[0]: {path.shop} is not in the route"),
        ("{scopes: ['{uuid}']}", "routes[0].auth.scopes[0]: {uuid} is nothing a request asks for"),
        ("{scopes: ['{claims.a}']}", "routes[0].auth.scopes[0]: {claims.a} is nothing a request asks for"),
        ("{claims: {a: '{path'}}", "routes[0].auth.claims.a: has a '{' that stands alone"),
    ],
)
def test_a_right_that_cannot_be_judged_is_refused(tmp_path: Path, said: str, mistake: str) -> None:
    (found, *_) = mistakes(tmp_path, with_auth(said))
    assert found.split(": ", 1)[1].startswith(mistake)


def test_a_body_is_read_by_routes_that_produce(tmp_path: Path) -> None:
    text = HEAD + CALLERS + "routes:\n  - {route: GET /a, consume: {topics: [a]}, auth: {scopes: ['{body.store}']}}\n"
    (found,) = mistakes(tmp_path, text)
    assert "{body.store} is read by produce routes only" in found


def test_beside_auth_no_route_is_open_by_oversight(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, HEAD + CALLERS + ROUTE)
    assert "routes[0].auth: does not say who may call it" in found


@pytest.mark.parametrize("callers", ["", "auth: none\n"])
def test_a_route_that_asks_for_callers_needs_to_know_them(tmp_path: Path, callers: str) -> None:
    (found,) = mistakes(tmp_path, HEAD + callers + ROUTE + "    auth: any\n")
    assert "routes[0].auth: asks for callers, and the file has no `auth` section" in found
    assert mistakes(tmp_path, HEAD + callers + ROUTE + "    auth: none\n") == []


@pytest.mark.parametrize(
    ("callers", "mistake"),
    [
        ("{key_header: X-Key}", "auth: knows nobody"),
        (f"{{keys: [{{name: a, hash: '{SCRYPT}'}}]}}", "auth.keys[0].hash: is a password's hash"),
        ("{keys: [{name: a, hash: secret123}]}", "auth.keys[0].hash[0]: is no hash: `stepbridge key`"),
        (f"{{keys: [{{name: 'a:b', hash: '{HASH}'}}]}}", "auth.keys[0].name: 'a:b' is no caller's name"),
        (
            f"{{keys: [{{name: a, hash: ['{HASH}', '{HASH}', '{HASH}']}}]}}",
            "auth.keys[0].hash: has too many entries, must have at most 2",
        ),
        (
            f"{{basic: [{{name: a, hash: '{HASH}'}}, {{name: a, hash: '{HASH}'}}]}}",
            "auth.basic[1].name: a is written twice: give one entry two hashes",
        ),
        ("{jwt: [{issuer: 'https://a', audience: b, algorithms: [none]}]}", "auth.jwt[0].algorithms[0]: is 'none'"),
        ("{jwt: [{issuer: 'https://a', audience: b, algorithms: [HS256]}]}", "auth.jwt[0].algorithms[0]: is 'HS256'"),
        ("{jwt: [{issuer: 'https://a', audience: []}]}", "auth.jwt[0].audience: has too few entries"),
        ("{jwt: [{issuer: 'https://a'}]}", "auth.jwt[0].audience: is missing"),
        (
            "{jwt: [{issuer: 'http://id.example', audience: b}]}",
            "auth.jwt[0].issuer: http://id.example is not encrypted",
        ),
        ("{jwt: [{issuer: 'https://a', audience: b, leeway_ms: 300001}]}", "auth.jwt[0].leeway_ms: is 300001, must be"),
        (
            "{jwt: [{issuer: 'https://a', audience: b}, {issuer: 'https://b', audience: b}]}",
            "auth.jwt[1].issuer: its name, jwt, is taken",
        ),
        ("{jwt: [{issuer: 'https://a', audience: b, name: key}]}", "auth.jwt[0].name: its name, key, is taken"),
        ("{certificates: {}}", "auth.certificates: needs `server.tls`"),
    ],
)
def test_callers_that_cannot_be_told_apart_are_refused(tmp_path: Path, callers: str, mistake: str) -> None:
    found = mistakes(tmp_path, HEAD + f"auth: {callers}\n" + ROUTE + "    auth: any\n")
    assert found[0].split(": ", 1)[1].startswith(mistake), found
    assert not any("secret123" in line for line in found), "what may be a key is not repeated"


def test_plain_http_is_for_an_issuer_on_this_machine(tmp_path: Path) -> None:
    callers = "auth: {jwt: [{issuer: 'http://127.0.0.1:8180/realm', audience: b}]}\n"
    assert mistakes(tmp_path, HEAD + callers + ROUTE + "    auth: any\n") == []


@pytest.mark.parametrize("said", ["key: '{claims.store}'", "headers: {by: '{principal}'}"])
def test_a_caller_stands_in_templates_where_one_is_asked_for(tmp_path: Path, said: str) -> None:
    text = HEAD + CALLERS + ROUTE.replace("topic: a", f"topic: a, {said}")
    assert mistakes(tmp_path, text + "    auth: any\n") == []
    (found,) = mistakes(tmp_path, text + "    auth: none\n")
    assert "is of a caller, and nobody is asked who they are" in found


@pytest.mark.parametrize(("side", "written"), [("server", ""), ("admin", "admin.auth")])
def test_an_address_for_others_needs_callers_of_its_own(tmp_path: Path, side: str, written: str) -> None:
    text = with_auth("any") + f"{side}: {{host: 0.0.0.0}}\n"
    found = mistakes(tmp_path, text)
    assert [line.split(": ")[1] for line in found] == (["admin.host"] if written else [])
    if written:
        assert mistakes(tmp_path, text.replace("0.0.0.0", "0.0.0.0, auth: none")) == []


# ---- a file of callers


def test_callers_may_stand_in_a_file_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "callers.yaml").write_text(f"keys:\n  - {{name: b, hash: '{HASH}', scopes: [x]}}\n")
    text = HEAD + "auth: {file: callers.yaml}\n" + ROUTE + "    auth: any\n"
    auth = load_text(tmp_path, text).auth
    assert auth is not None
    assert [(caller.name, caller.scopes) for caller in auth.all_keys] == [("b", ("x",))]
    assert auth.schemes == ("key",)
    assert HASH not in repr(auth)


def test_its_mistakes_have_its_own_places(tmp_path: Path) -> None:
    text = HEAD + "auth: {file: callers.yaml}\n" + ROUTE
    (tmp_path / "callers.yaml").write_text(f"keys:\n  - {{name: b, hsh: '{HASH}'}}\nbasics: []\n")
    found = mistakes_everywhere(tmp_path, text)
    assert "callers.yaml:2:15: keys[0].hsh: unknown key, did you mean hash?" in found
    assert "callers.yaml:3:1: basics: unknown key, did you mean basic?" in found
    assert "bridge.yaml:4:5: routes[0].auth: does not say" in found, "the file's own are told at once"


def test_a_file_of_callers_that_is_not_there_is_named(tmp_path: Path) -> None:
    found = mistakes_everywhere(tmp_path, HEAD + "auth: {file: callers.yaml}\n" + ROUTE + "    auth: any\n")
    assert "callers.yaml:1:1: file: cannot be read: No such file or directory" in found


def test_a_caller_in_both_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "callers.yaml").write_text(f"keys:\n  - {{name: a, hash: '{HASH}'}}\n")
    text = HEAD + CALLERS.replace("auth: {", "auth: {file: callers.yaml, ") + ROUTE + "    auth: any\n"
    (found,) = mistakes(tmp_path, text)
    assert "auth.file: a is in keys here and in callers.yaml" in found


def mistakes_everywhere(directory: Path, text: str) -> str:
    from proxy.config.load import ConfigMistakes

    with pytest.raises(ConfigMistakes) as found:
        load_text(directory, text)
    return str(found.value)
