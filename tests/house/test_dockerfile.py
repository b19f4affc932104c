"""The image, read instead of built."""

import json
import re
from pathlib import Path

import pytest

from proxy.config.load import load
from proxy.config.model import Admin, Server
from tests.house.dockerfile import mistakes, stages

CHECKOUT = Path(__file__).parents[2]
DOCKERFILE = (CHECKOUT / "Dockerfile").read_text()
LAST = {step.word: step.rest for step in stages(DOCKERFILE)[-1]}


def test_the_dockerfile_has_no_mistakes() -> None:
    assert mistakes(DOCKERFILE, CHECKOUT) == []


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("python:3.11.14-slim-bookworm AS", "python:3-slim AS", "FROM python:3-slim AS build: name the full version"),
        ("COPY proxy proxy", "COPY proxi proxy", "COPY proxi: there is no such file"),
        ("COPY proxy proxy", "COPY tests tests", "COPY tests: .dockerignore leaves it out"),
        ("--require-hashes -r requirements/$", "-r requirements/$", "install by hash"),
        ("PIP_NO_CACHE_DIR=1", "API_TOKEN=1", "a secret would stay in the image"),
        ("USER 10001:10001", "USER stepbridge", "a number that is not root's"),
        ("USER 10001:10001\n", "", "USER root: a number that is not root's"),
        ("HEALTHCHECK", "LABEL", "HEALTHCHECK is missing"),
    ],
)
def test_a_mistake_in_the_dockerfile_is_found(right: str, wrong: str, said: str) -> None:
    assert right in DOCKERFILE
    assert any(said in line for line in mistakes(DOCKERFILE.replace(right, wrong), CHECKOUT))


def test_the_image_installs_the_lock_it_is_told_and_that_of_the_bridge_alone_by_default() -> None:
    steps = stages(DOCKERFILE)[0]
    assert any(step.word == "ARG" and step.rest == "LOCK=run" for step in steps)
    assert any("-r requirements/${LOCK}.txt" in step.rest for step in steps)
    copied = next(step.rest for step in steps if step.word == "COPY")
    assert {"requirements/run.txt", "requirements/tracing.txt"} <= set(copied.split())


def test_the_image_exposes_the_ports_that_the_configuration_has_by_default() -> None:
    assert LAST["EXPOSE"].split() == [str(Server().port), str(Admin().port)]


def test_the_health_check_asks_the_admin_port_and_is_a_program_that_compiles() -> None:
    command = json.loads(LAST["HEALTHCHECK"].partition("CMD ")[2])
    compile(command[-1], "healthcheck", "exec")
    assert command[:2] == ["python", "-c"]
    assert f"'127.0.0.1', {Admin().port}" in command[-1]
    assert "/healthz" in command[-1]


def test_the_image_starts_with_a_configuration_that_loads_and_listens_on_all_addresses() -> None:
    started = [*json.loads(LAST["ENTRYPOINT"]), *json.loads(LAST["CMD"])]
    copied = re.search(r"COPY (deploy/\S+) (/etc/\S+)", DOCKERFILE)
    assert copied is not None
    assert started == ["stepbridge", "serve", "--config", copied[2]]
    config = load(CHECKOUT / copied[1], {})
    assert (config.server.host, config.admin.host, config.auth) == ("0.0.0.0", "0.0.0.0", None)
