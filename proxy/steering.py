"""Routes on their way from an upstream to Kafka, as operators see and steer them (`operations.MigrationControl`)."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from proxy.clock import now_s
from proxy.migrate.changing import Changing, Done, Wish
from proxy.migrate.chronicle import LIVE_S, Replica
from proxy.migrate.control import Control
from proxy.migrate.refusals import NoMigration
from proxy.migrate.stages import STAGES, Setting
from proxy.observe.metrics import Sample

HISTORY = 50  # changes that are shown


class Steering:
    """Of this process, with all others in view."""

    def __init__(self, control: Control, topic: str) -> None:
        self.control = control
        self.changing = Changing(control)
        self._topic = topic

    async def change(self, wish: Wish) -> Mapping[str, Any]:
        """Change a stage; see `Changing.make`."""
        done = await self.changing.make(wish)
        return done_json(done)

    def all(self) -> Mapping[str, Any]:
        """How the control is, who takes part, and each route."""
        control = self.control
        return {
            **self.here(),
            "replicas": [_replica_json(each, silent_s) for each, silent_s in control.others()],
            "routes": [self._route(name) for name in control.terms],
        }

    def here(self) -> dict[str, Any]:
        """What this process knows, and as of when."""
        control = self.control
        return {
            "replica": control.me.id,
            "topic": self._topic,
            "is_fresh": control.is_fresh,
            "known_age_s": None if control.known_age_s is None else round(control.known_age_s, 3),
            "trouble": control.trouble,
        }

    def one(self, name: str) -> dict[str, Any]:
        """One route with its last changes. Raises NoMigration."""
        if name not in self.control.terms:
            raise NoMigration(f"No route named {name!r} has `migrate`.")
        history = [outcome.as_json() for outcome in self.control.chronicle.route(name).history()[:HISTORY]]
        return {**self.here(), **self._route(name), "history": history}

    def stage(self, name: str) -> dict[str, Any] | None:
        """For `/admin/routes`: the stage of a route that is on its way, and who says so."""
        if name not in self.control.terms:
            return None
        standing = self.control.standing(name)
        is_set = self.control.chronicle.route(name).setting is not None
        told = "control topic" if is_set else "file"
        return {**standing.setting.as_json(), "source": told if standing.is_known else "not known yet"}

    def _route(self, name: str) -> dict[str, Any]:
        standing, chronicle = self.control.standing(name), self.control.chronicle.route(name)
        return {
            "name": name,
            **(self.stage(name) or {}),
            "file": self.control.terms[name].file.as_json(),
            "epoch": standing.epoch,
            "changing": chronicle.open.as_json() if chronicle.open else None,
            "set": chronicle.last.as_json() if chronicle.last else None,
            "under_way": standing.inside,
            "held": standing.waiting,
            "confirmed": {
                each.replica: {"epoch": each.epoch, "is": "late" if each.is_late else each.kind}
                for each in sorted(chronicle.confirmations.values(), key=lambda each: each.replica)
            },
        }

    def samples(self) -> Iterator[Sample]:
        control = self.control
        if not control.terms:
            return
        for name in control.terms:
            standing = control.standing(name)
            for stage in STAGES:
                yield Sample(
                    "stepbridge_stage_share", {"route": name, "stage": stage}, _share_of(standing.setting, stage)
                )
            yield Sample("stepbridge_stage_epoch", {"route": name}, standing.epoch)
            yield Sample("stepbridge_stage_held", {"route": name}, standing.waiting)
        yield Sample("stepbridge_control_fresh", {}, control.is_fresh)
        yield Sample("stepbridge_control_age_seconds", {}, control.known_age_s or 0.0)
        yield Sample("stepbridge_control_replicas", {}, len(control.chronicle.live(now_s())))
        for (route, result), count in self.changing.counts.items():
            yield Sample("stepbridge_stage_changes_total", {"route": route, "result": result}, count)


def done_json(done: Done) -> dict[str, Any]:
    return {
        **done.outcome.as_json(),
        "confirmed": list(done.confirmed),
        "unconfirmed": [{"replica": name, "why": why} for name, why in sorted(done.unconfirmed.items())],
    }


def _replica_json(replica: Replica, silent_s: float) -> dict[str, Any]:
    told = {name: each for name, each in asdict(replica).items() if name != "number"}
    return {**told, "silent_s": round(silent_s, 3), "is_live": silent_s < LIVE_S}


def _share_of(setting: Setting, stage: str) -> float:
    """Which share of the keys is on that stage."""
    places = setting.share / 10_000
    return places if stage == setting.stage else 1 - places if stage == setting.below else 0.0
