"""Who may import whom: the map of the house, and what in a tree of modules goes against it.

Imports go downward only. Rooms on one floor are strangers, but for the neighbours named here; the ground floor and the
door are one room each.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

FLOORS: dict[int, set[str]] = {
    5: {
        "__main__",
        "cli",
        "serve",
        "process",
        "server",
        "workers",
        "app",
        "certificates",
        "endpoints",
        "groups",
        "migrations",
        "replays",
        "steering",
        "status",
        "demo",
    },
    4: {"http", "admin"},
    3: {"produce", "consume", "migrate"},
    2: {"kafka", "peers", "upstream", "observe"},
    1: {"config", "routes", "auth", "limits"},
    0: {"__init__", "record", "principal", "errors", "clock", "seams", "shipped", "shown", "tasks", "tls"},
}
FLOOR_OF = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
ONE_ROOM = {0, 5}
NEIGHBOURS = {("routes", "config"), *((room, "observe") for room in FLOORS[2])}

LIBRARIES: dict[str, tuple[str, ...]] = {  # the only places that import them
    "aiohttp": ("upstream", "demo"),
    "jwt": ("auth",),
    "aiokafka": ("kafka",),
    "cryptography": ("tls",),
    "confluent_kafka": ("demo",),
    "opentelemetry": ("observe",),
    "ormsgpack": ("peers",),
    "prometheus_client": ("observe",),
    "starlette": tuple(sorted(FLOORS[4] | FLOORS[5])),
    "uvicorn": ("server", "http.protocol", "http.cycle"),
}


def violations(package: Path) -> list[str]:
    """One line for each import under `package` (the directory of `proxy`) that the map does not allow."""
    return [line for file in sorted(package.rglob("*.py")) for line in _of_file(package, file)]


def _of_file(package: Path, file: Path) -> Iterator[str]:
    module = ".".join(file.relative_to(package).with_suffix("").parts)
    room = module.split(".")[0]
    if room not in FLOOR_OF:
        yield f"{file}: {room} is on no floor; give it a place in FLOORS (tests/house/floors.py)"
        return
    for line, name in imports(file):
        if wrong := _wrong(module, room, name, package):
            yield f"{file}:{line}: {wrong}"


def imports(file: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of everything imported, at the top, in a function, or for types only."""
    for node in ast.walk(ast.parse(file.read_text(), str(file))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{origin}.{alias.name}") for alias in node.names)


def _wrong(module: str, room: str, name: str, package: Path) -> str | None:
    if name.startswith("."):
        return f"{name} is a relative import; write it in full"
    top, *rest = name.split(".")
    if top == package.name:
        return _wrong_room(room, rest[0] if rest and rest[0] in _rooms(package) else "__init__")
    allowed = LIBRARIES.get(top)
    if allowed and not any(module == place or module.startswith(f"{place}.") for place in allowed):
        return f"{top} is imported by {', '.join(allowed)} only, not by {module}"
    return None


def _wrong_room(room: str, other: str) -> str | None:
    if other not in FLOOR_OF:
        return f"{other} is on no floor"
    here, there = FLOOR_OF[room], FLOOR_OF[other]
    if other == room or there < here or (room, other) in NEIGHBOURS or (here == there and here in ONE_ROOM):
        return None
    if here == there:
        return f"{room} and {other} are strangers, both on floor {here}"
    return f"{room} is on floor {here} and may not look up to {other}, on floor {there}"


def _rooms(package: Path) -> set[str]:
    return {path.stem for path in package.iterdir() if path.is_dir() or path.suffix == ".py"}
