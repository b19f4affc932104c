"""`stepbridge migrate`: where routes stand on their way to Kafka, and putting them elsewhere."""

from typing import Annotated

import typer

from proxy.cli.exits import EXIT_CODES
from proxy.cli.groups import DEFAULT_ADMIN, AdminUrl, AsJson
from proxy.cli.token import Token

RouteName = Annotated[str, typer.Argument(metavar="ROUTE", help="The route's name.")]

app = typer.Typer(
    name="migrate",
    help="Move a route from its upstream to Kafka, by stages, or back.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command(epilog=EXIT_CODES)
def status(
    route: Annotated[str | None, typer.Argument(metavar="[ROUTE]", help="Only this one.")] = None,
    admin: AdminUrl = DEFAULT_ADMIN,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Show the stage of each route, and the replicas that serve it."""
    from proxy.cli.remote_migrate import show_status

    raise typer.Exit(show_status(admin, route, as_json=as_json))


@app.command("set", epilog=EXIT_CODES)
def set_stage(
    route: RouteName,
    stage: Annotated[str, typer.Argument(metavar="legacy|shadow|dual|kafka", help="The stage.")],
    rollout: Annotated[
        str | None, typer.Option("--rollout", metavar="25%", help="Share of the keys; the rest are one stage below.")
    ] = None,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason; it is kept.")] = "",
    who: Annotated[
        str | None, typer.Option("--who", metavar="NAME", help="Who you are, if not user@host.", show_default=False)
    ] = None,
    accept_gap: Annotated[
        int | None,
        typer.Option("--accept-gap", metavar="N", min=0, help="So many records the legacy service may never see."),
    ] = None,
    accept_violations: Annotated[
        int | None,
        typer.Option("--accept-violations", metavar="N", min=0, help="So many shadow requests may make no record."),
    ] = None,
    epoch: Annotated[
        int | None, typer.Option("--epoch", metavar="N", min=1, help="Only if this is the number of the change.")
    ] = None,
    admin: AdminUrl = DEFAULT_ADMIN,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Put a route at a stage.

    Returns when all live replicas serve it, and names those that may not: then it ends with 1.
    """
    from proxy.cli.remote_migrate import Asked, change_stage

    accepted = {"accept_gap": accept_gap, "accept_violations": accept_violations, "epoch": epoch}
    raise typer.Exit(change_stage(admin, Asked(route, stage, rollout, why, who, accepted), as_json=as_json))


@app.command(epilog=EXIT_CODES)
def history(
    route: RouteName,
    admin: AdminUrl = DEFAULT_ADMIN,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """List a route's changes, newest first: what, who, when, why, and how each ended."""
    from proxy.cli.remote_migrate import show_history

    raise typer.Exit(show_history(admin, route, as_json=as_json))


@app.command(epilog=EXIT_CODES)
def report(
    route: RouteName,
    admin: AdminUrl = DEFAULT_ADMIN,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Show how ready a route is for its next stage.

    Requests by stage, the shadow's success, violations, divergences, latencies, answers compared, and who still calls.
    """
    from proxy.cli.remote_report import show_report

    raise typer.Exit(show_report(admin, route, as_json=as_json))


@app.command(epilog=EXIT_CODES)
def losses(
    route: RouteName,
    admin: AdminUrl = DEFAULT_ADMIN,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """List what a route's shadow lost, the newest first."""
    from proxy.cli.remote_report import show_losses

    raise typer.Exit(show_losses(admin, route, as_json=as_json))


@app.command(epilog=EXIT_CODES)
def replay(
    route: RouteName,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what comes, until --stop.")] = False,
    skip_refused: Annotated[
        bool, typer.Option("--skip-refused", help="Pass over, and count, what the legacy service refuses (3xx, 4xx).")
    ] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Have the one that runs stop after its batch.")] = False,
    admin: AdminUrl = DEFAULT_ADMIN,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Send the legacy service what it has not seen of a route: before a descent. It runs in the bridge."""
    from proxy.cli import remote_replay

    if stop:
        raise typer.Exit(remote_replay.stop(admin, route))
    shown = remote_replay.replay(admin, route, follow=follow, skip_refused=skip_refused, as_json=as_json)
    raise typer.Exit(shown)
