"""`stepbridge groups`, and what it does to a group."""

from typing import Annotated

import typer

from proxy.cli.exits import EXIT_CODES
from proxy.cli.token import Token

DEFAULT_ADMIN = "http://127.0.0.1:9090"
AdminUrl = Annotated[
    str, typer.Option("--admin", metavar="URL", envvar="STEPBRIDGE_ADMIN", help="The running bridge's admin side.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the admin side's JSON instead of a table.")]
Group = Annotated[str, typer.Argument(metavar="GROUP", help="The group, as a route names it.")]
NearAdmin = Annotated[  # may stand before the subcommand, or behind it
    str | None, typer.Option("--admin", metavar="URL", help="The running bridge's admin side.")
]

app = typer.Typer(
    name="groups",
    invoke_without_command=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(epilog=EXIT_CODES)
def groups(
    context: typer.Context,
    partitions: Annotated[bool, typer.Option("--partitions", help="A line for each partition.")] = False,
    workers: Annotated[bool, typer.Option("--workers", help="A line for each worker.")] = False,
    admin: AdminUrl = DEFAULT_ADMIN,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Show the groups of a running bridge, or move one.

    Without a command: their workers and partitions, how far they lag, and what is leased.
    """
    context.obj = admin
    if context.invoked_subcommand is None:
        from proxy.cli.remote_groups import show_groups

        raise typer.Exit(show_groups(admin, as_json=as_json, partitions=partitions, workers=workers))


@app.command(epilog=EXIT_CODES)
def seek(
    context: typer.Context,
    group: Group,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="WHERE",
            help="begin, end, an offset, or a time in ISO 8601 (UTC unless it says otherwise): 2026-11-22T15:00:00Z.",
        ),
    ],
    topic: Annotated[str | None, typer.Option("--topic", metavar="TOPIC", help="Only this one.")] = None,
    partition: Annotated[int | None, typer.Option("--partition", metavar="P", min=0, help="Only this one.")] = None,
    admin: NearAdmin = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Let a group go on from somewhere else.

    What is leased then counts no longer: its readers are told so, and it may come again.
    """
    from proxy.cli.remote_groups import seek_group

    raise typer.Exit(seek_group(admin or context.obj, group, to, topic, partition, as_json=as_json))


@app.command(epilog=EXIT_CODES)
def skip(
    context: typer.Context,
    group: Group,
    record: Annotated[str, typer.Argument(metavar="TOPIC:PARTITION:OFFSET", help="The record's id.")],
    admin: NearAdmin = None,
    token: Token = None,
) -> None:
    """Let a group go on without one record, whoever has it."""
    from proxy.cli.remote_groups import skip_record

    raise typer.Exit(skip_record(admin or context.obj, group, record))


@app.command(epilog=EXIT_CODES)
def dead(
    context: typer.Context,
    group: Group,
    most: Annotated[int, typer.Option("--max", metavar="N", min=1, max=1_000, help="At most so many.")] = 100,
    values: Annotated[bool, typer.Option("--values", help="With their values.")] = False,
    admin: NearAdmin = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """List a group's dead letters, newest first."""
    from proxy.cli.remote_groups import list_dead

    raise typer.Exit(list_dead(admin or context.obj, group, most, with_values=values, as_json=as_json))


@app.command(epilog=EXIT_CODES)
def replay(
    context: typer.Context,
    group: Group,
    letters: Annotated[
        list[str] | None, typer.Argument(metavar="ID…", help="As `dead` lists them.", show_default=False)
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All that were not replayed yet.")] = False,
    admin: NearAdmin = None,
    token: Token = None,
) -> None:
    """Send dead letters back to where they came from.

    Every group that reads the topic sees the record again.
    """
    from proxy.cli.remote_groups import replay_dead

    if every == bool(letters):
        raise typer.BadParameter("Name dead letters, or write --all.")
    raise typer.Exit(replay_dead(admin or context.obj, group, letters or None))
