"""`routes.*.migrate`: how a route moves from its upstream to Kafka; `kafka.internal`: the topics it is steered by."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from proxy.config.jsonpath import read_path
from proxy.config.rollout import read_rollout
from proxy.config.section import Section
from proxy.config.share import parse_share
from proxy.config.values import Count, Template, TopicName


def _as_text(value: Any) -> Any:
    return f"{value:g}%" if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _rollout(text: str) -> str:
    return f"{read_rollout(text) / 100:g}%"


def _share(text: str) -> str:
    return f"{parse_share(text) * 100:g}%"


def _json_path(text: str) -> str:
    read_path(text)
    return text


JsonPath = Annotated[str, AfterValidator(_json_path)]
Rollout = Annotated[str, AfterValidator(_rollout), BeforeValidator(_as_text, json_schema_input_type=str | int | float)]
Share = Annotated[str, AfterValidator(_share), BeforeValidator(_as_text, json_schema_input_type=str | int | float)]


class Internal(Section):
    prefix: TopicName = Field(default="_stepbridge", description="The bridge's own topics begin with this and a dot.")
    replication: Count = Field(
        default=3, description="Replicas of each; above the number of brokers it is lowered to that, with a warning."
    )
    create: bool = Field(default=True, description="Make those that are missing; else they must be there.")

    @property
    def migrations(self) -> str:
        """The topic that routes on their way are steered by."""
        return f"{self.prefix}.migrations"

    @property
    def divergences(self) -> str:
        """The topic of what only one side of a dual write has."""
        return f"{self.prefix}.divergences"


class Compare(Section):
    sample: Share = Field(default="10%", description="Share of the requests whose answers are compared.")
    paths: tuple[JsonPath, ...] = Field(
        default=(),
        max_length=100,
        description="Only these places of JSON bodies, and what is below: order.total, items.*.price; else all.",
    )
    ignore: tuple[JsonPath, ...] = Field(
        default=(), max_length=100, description="Places that may differ, such as ids and times."
    )
    baseline: bool = Field(
        default=False,
        description="GET and HEAD: ask the old service twice; in what it differs from itself is ignored.",
    )


class Migrate(Section):
    stage: Literal["legacy", "shadow", "dual", "kafka"] = Field(
        default="legacy", description="The first stage; once it was set at run time, what was set counts."
    )
    rollout: Rollout = Field(
        default="100%", description="Share of the keys on that stage; the rest are one below. 25%, 0.5%."
    )
    rollout_by: Template | None = Field(
        default=None,
        description='Template of what stays together, such as "{header.x-client}"; else the record\'s key.',
    )
    authority: Literal["legacy", "kafka"] = Field(
        default="legacy", description="At dual: whose answer the client gets, legacy or kafka."
    )
    max_violations: Share = Field(
        default="0%",
        description="Above this share of shadow requests that make no record, climbing from shadow is refused.",
    )
    queue: Count = Field(
        default=10_000,
        description="At shadow: records that may wait for Kafka, at most 64 MiB; one more is lost.",
    )
    stage_header: bool = Field(
        default=False, description="Answers say which stage served them: stepbridge-stage: shadow."
    )
    compare: Compare | None = Field(
        default=None, description="At shadow and dual: what the route would answer, held against the old service."
    )
    redact: tuple[JsonPath, ...] | None = Field(
        default=None,
        max_length=100,
        description="Places of bodies that examples do not show; [] hides nothing, without it no value is shown.",
    )
    caller: Template | None = Field(
        default=None,
        description='Template of who calls, for the list of callers, such as "{header.x-client}"; else its address.',
    )
