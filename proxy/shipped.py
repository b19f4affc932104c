"""Where the files of `config/` are: beside the package in a checkout, inside it once it is installed."""

from pathlib import Path

_PACKAGE = Path(__file__).parent


def shipped(name: str) -> Path:
    """The path of `config/<name>` as shipped with this version.

    Raises FileNotFoundError, naming what is shipped, if there is no such file.
    """
    home = shipped_directory()
    path = home / name
    if path.is_file():
        return path
    names = ", ".join(sorted(str(file.relative_to(home)) for file in home.rglob("*") if file.is_file()))
    raise FileNotFoundError(f"{name} is not shipped with stepbridge; {home} has {names or 'nothing'}")


def shipped_directory() -> Path:
    """The directory that `config/` became: `proxy/_config/` in an installed wheel (pyproject.toml), else `config/`."""
    inside = _PACKAGE / "_config"
    return inside if inside.is_dir() else _PACKAGE.parent / "config"
