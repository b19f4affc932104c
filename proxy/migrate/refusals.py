"""Why a change of stage does not come, as whoever asked for it is told."""

from proxy.errors import Conflict, NotNow, ProxyError


class NoMigration(ProxyError):
    status, code, title = 404, "no_migration", "No route of this name is on its way"


class StepRefused(Conflict):
    """`extra`: the numbers that forbid it."""

    code, title = "step_refused", "The route does not go there from where it is"


class ChangeLost(Conflict):
    """Somebody else's change was first."""

    code, title = "change_lost", "Another change was first"


class ChangeAbandoned(NotNow):
    """It was announced, and did not come; all stages are as they were. `extra`: who did not get ready, and why."""

    code, title = "change_abandoned", "The change was abandoned"


class ControlAway(NotNow):
    """This process cannot read, or write to, the control topic."""

    code, title = "control_away", "The control topic cannot be reached"


class AnotherReplays(Conflict):
    code, title = "replay_runs", "A replay of the route is running"


class CannotReplay(NotNow):
    """The legacy service refused a request, or a record does not tell its request."""

    code, title = "replay_stopped", "The replay has stopped"
