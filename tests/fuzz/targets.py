"""What is fuzzed, each a function of bytes that returns whatever happens, and fails by raising.

They are run under atheris (coverage-guided: `python -m tests.fuzz.targets NAME SECONDS`), in a process of their own.
Only refusals that clients are told may come out: any other exception is a crash, which atheris prints with its input.
"""

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import atheris
import orjson

with atheris.instrument_imports(include=["proxy"]):
    from proxy.config.placeholder import BadTemplate
    from proxy.consume.claim import Claim
    from proxy.consume.feeds.position import read_token
    from proxy.consume.token import Kind, Signer
    from proxy.errors import ProxyError
    from proxy.routes.elements import elements, is_array
    from proxy.routes.lines import LineSplitter
    from proxy.routes.request import Request
    from proxy.routes.table import RouteTable
    from proxy.routes.template import Template

SIGNER = Signer(["a secret that only these tests know"])
STALE_BYTES = 64 * 1024 * 1024  # memory may grow by so much over a run: libFuzzer's own corpus is part of it
TABLE = RouteTable.build([("POST", "/a/{x}", "a"), ("*", "/r/{rest...}", "r"), ("GET", "/a/b", "b")])


def templates(data: bytes) -> None:
    """A template of any text, filled from any request."""
    text, _, body = data.partition(b"\0")
    try:
        template = Template.compile(text.decode(errors="replace"))
    except BadTemplate:
        return
    headers = [(b"content-type", b"application/json"), (b"x", body[:20])]
    request = Request({"x": "1"}, body[:100], headers, body)
    with suppress(ProxyError):
        template.encoded(request)


def positions(data: bytes) -> None:
    """A position as clients send it, and one whose payload is anything, signed."""
    for token in (data.decode(errors="replace"), SIGNER.sign(Kind.POSITION, data[:200])):
        with suppress(ProxyError):
            read_token(token, SIGNER, "cluster", ["t"])


def leases(data: bytes) -> None:
    """A lease likewise."""
    for token in (data.decode(errors="replace"), SIGNER.sign(Kind.LEASE, data[:200])):
        with suppress(ProxyError):
            Claim.open(SIGNER, token, group="g")


def ndjson(data: bytes) -> None:
    """Lines in pieces of any length: no byte of a line that was taken is lost, and little is held."""
    if not data:
        return
    step, data = data[0] % 16 + 1, data[1:]
    splitter, lines = LineSplitter(64), []
    for at in range(0, len(data), step):
        lines += splitter.feed(data[at : at + step])
        assert splitter.held_bytes <= 64 + step
    lines += splitter.rest()
    for line in lines:
        if isinstance(line, bytes):
            assert line in data
            assert len(line) <= 64


def arrays(data: bytes) -> None:
    """A body that may be a JSON array, element by element."""
    try:
        orjson.loads(data)
    except ValueError:
        return
    with suppress(ProxyError):
        for element in elements(data) if is_array(data) else ():
            assert element in data


def paths(data: bytes) -> None:
    """Any path, of any method."""
    for method in ("GET", "POST", "X"):
        with suppress(ProxyError):
            TABLE.match(method, b"/" + data)


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    each.__name__: each for each in (templates, positions, leases, ndjson, arrays, paths)
}


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main(name: str, seconds: str) -> None:
    target, began = TARGETS[name], resident_bytes()

    def flat(data: bytes) -> None:
        target(data)
        assert resident_bytes() - began < STALE_BYTES, "memory grows"

    options = [f"-max_total_time={seconds}", "-max_len=2048", "-rss_limit_mb=1024", "-timeout=5", "-seed=1"]
    atheris.Setup([sys.argv[0], *options, "-print_final_stats=1"], flat)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
