"""What can be typed. A command reads its options, calls one thing, and turns the result into an exit code.

Imports stand inside the commands: `serve` does not pay for tables, nor `routes` for Kafka.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from proxy import __version__
from proxy.cli import groups, migrate
from proxy.cli.exits import EXIT_CODES, FAILED, CommandFailed
from proxy.cli.groups import DEFAULT_ADMIN, AdminUrl, AsJson
from proxy.cli.token import Token

app = typer.Typer(
    name="stepbridge",
    help="A bridge between REST clients and Kafka.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ConfigFile = Annotated[Path, typer.Option("--config", "-c", metavar="FILE", help="The configuration file.")]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The entry point of the command and of `python -m proxy`. Ends the process (SystemExit)."""
    try:
        app(arguments, prog_name="stepbridge")
    except CommandFailed as exc:
        typer.echo(f"stepbridge: {exc}", err=True)
    sys.exit(FAILED)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"stepbridge {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = (
        False
    ),
) -> None: ...


@app.command(epilog=EXIT_CODES)
def serve(
    config: ConfigFile,
    host: Annotated[str | None, typer.Option(help="Address for clients.", metavar="HOST")] = None,
    port: Annotated[int | None, typer.Option(help="Port for clients.", min=0, max=65_535, metavar="PORT")] = None,
    admin_host: Annotated[str | None, typer.Option(help="Address of the admin side.", metavar="HOST")] = None,
    admin_port: Annotated[int | None, typer.Option(help="Its port.", min=0, max=65_535, metavar="PORT")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that share the port.", min=1, max=256, metavar="N")
    ] = None,
) -> None:
    """Run the bridge until SIGTERM or Ctrl-C.

    SIGHUP reloads the file. Options beat what it says.
    """
    from proxy.serve import Overrides
    from proxy.serve import serve as run

    raise typer.Exit(run(config, Overrides(host, port, admin_host, admin_port, workers)))


@app.command(epilog=EXIT_CODES)
def check(
    config: ConfigFile,
    live: Annotated[bool, typer.Option("--live", help="Also ask the Kafka cluster, and show a sample record.")] = False,
    sample: Annotated[
        Path | None, typer.Option("--sample", metavar="FILE", help="With --live: the body of the sample request.")
    ] = None,
    route: Annotated[
        str | None, typer.Option("--route", metavar="NAME", help="With --live: sample only this route.")
    ] = None,
) -> None:
    """Report all mistakes in the file, or show its routes.

    A mistake is a line: file:line:column: path: what is wrong, what would be right.
    """
    from proxy.cli.check import check_file

    raise typer.Exit(check_file(config, live=live, sample=sample, route=route))


@app.command(epilog=EXIT_CODES)
def routes(admin: AdminUrl = DEFAULT_ADMIN, token: Token = None, as_json: AsJson = False) -> None:
    """Show the routes of a running bridge.

    Their topics and state, their answers by status, and the requests that are open.
    """
    from proxy.cli.remote import show_routes

    raise typer.Exit(show_routes(admin, as_json=as_json))


app.add_typer(groups.app)
app.add_typer(migrate.app)


@app.command(epilog=EXIT_CODES)
def reload(admin: AdminUrl = DEFAULT_ADMIN, token: Token = None) -> None:
    """Have a running bridge read its file again.

    A file with mistakes changes nothing; they are listed.
    """
    from proxy.cli.remote import reload_bridge

    raise typer.Exit(reload_bridge(admin))


@app.command("log-level", epilog=EXIT_CODES)
def log_level(
    level: Annotated[
        str | None, typer.Argument(metavar="[debug|info|warning|error]", help="Log from this level on.")
    ] = None,
    admin: AdminUrl = DEFAULT_ADMIN,
    token: Token = None,
) -> None:
    """Show from which level on a running bridge logs, or change it.

    All its workers follow. A reload puts the file's in force again.
    """
    from proxy.cli.remote import show_log_level

    raise typer.Exit(show_log_level(admin, level))


@app.command(epilog=EXIT_CODES)
def key(
    password: Annotated[
        bool, typer.Option("--password", help="Hash a password instead: typed, or a line of standard input.")
    ] = False,
) -> None:
    """Make an API key, and the hash of it that the file needs."""
    from proxy.cli.key import hash_password, make_key

    raise typer.Exit(hash_password() if password else make_key())


@app.command(epilog=EXIT_CODES)
def demo(
    check: Annotated[bool, typer.Option("--check", help="Play it once without a screen, and judge it.")] = False,
    migrate: Annotated[
        bool,
        typer.Option("--migrate", help="Play a route's way from an old service to Kafka and back; it judges itself."),
    ] = False,
    bootstrap: Annotated[
        str | None, typer.Option("--bootstrap", metavar="SERVERS", help="A Kafka to use instead of the embedded one.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65_535, metavar="PORT", help="The bridge's port.")] = 8080,
    admin_port: Annotated[int, typer.Option(min=0, max=65_535, metavar="PORT", help="Its admin side's port.")] = 9090,
    page_port: Annotated[int, typer.Option(min=0, max=65_535, metavar="PORT", help="The live page's port.")] = 8088,
) -> None:
    """Play the retail scenario on an embedded broker. Ctrl-C ends it."""
    from proxy.demo import run

    raise typer.Exit(
        run(check=check, migrate=migrate, bootstrap=bootstrap, port=port, admin_port=admin_port, page_port=page_port)
    )
