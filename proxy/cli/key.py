"""`stepbridge key`: a new API key, or the hash of a password, for the file."""

import secrets
import sys

import typer

from proxy.auth.hashes import key_hash, password_hash

KEY_BYTES = 32  # nothing to guess
SALT_BYTES = 16


def make_key() -> int:
    """Print a key, which nobody has seen, and its hash."""
    key = f"sb_{secrets.token_urlsafe(KEY_BYTES)}"
    typer.echo(f"key:  {key}")
    typer.echo(f"hash: {key_hash(key)}")
    typer.echo("The key is for its caller, and is shown this once. The hash is for the file.", err=True)
    return 0


def hash_password() -> int:
    """Print the hash of a password that is typed, or comes on standard input."""
    password = typer.prompt("Password", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise typer.BadParameter("The password is empty.")
    typer.echo(f"hash: {password_hash(password, secrets.token_bytes(SALT_BYTES))}")
    return 0
