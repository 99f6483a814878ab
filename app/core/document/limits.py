"""Budgets, policies and the proof that a gateway follows: what bounds a service besides its guardrails."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

CapAction = Literal["cheapest", "reject"]
PolicyType = Literal["cost", "compliance", "quality", "security"]
PolicyAction = Literal["deny", "warn", "allow"]
BudgetUsd = Annotated[float, Meta(gt=0, le=1e12)]
Text = Annotated[str, Meta(max_length=500)]


class SegmentBudget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the requests of one segment may spend, beside the budget of the service. Policy `mix` only: its segments
    have weights of their own.
    """

    segment: Annotated[Text, Meta(min_length=1, description="A declared segment, or `other`.")]
    day_usd: Annotated[BudgetUsd | None, Meta(description="USD a calendar day; absent: no limit.")] = None
    month_usd: Annotated[BudgetUsd | None, Meta(description="USD a calendar month; absent: no limit.")] = None


class GroupBudget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A budget that several services share: each may spend its share of it. Nobody looks into the others' spending;
    `llm-optimizer share-budget` moves the shares.
    """

    name: Annotated[str, Meta(max_length=200, description="Name of the group; none: the service is in no group.")] = ""
    day_usd: Annotated[BudgetUsd | None, Meta(description="USD a calendar day, of all services together.")] = None
    month_usd: Annotated[BudgetUsd | None, Meta(description="USD a calendar month, of all services together.")] = None
    share: Annotated[
        float, Meta(gt=0, le=1, description="Part of the group's budget that is this service's, until it is moved.")
    ] = 1.0


class Budget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the service may spend."""

    day_usd: Annotated[BudgetUsd | None, Meta(description="USD a calendar day; absent: no limit.")] = None
    month_usd: Annotated[BudgetUsd | None, Meta(description="USD a calendar month; absent: no limit.")] = None
    time_zone: Annotated[
        str, Meta(max_length=64, description="IANA time zone in which the days and months of the budget begin.")
    ] = "UTC"
    cap_action: Annotated[
        CapAction, Meta(description="At the cap: `cheapest` sends all to the cheapest admitted arm, `reject` refuses.")
    ] = "cheapest"
    segments: Annotated[
        tuple[SegmentBudget, ...], Meta(max_length=9, description="Budgets of single segments, one each.")
    ] = ()
    group: Annotated[GroupBudget, Meta(description="The budget this service shares with others.")] = GroupBudget()


class PolicyRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One condition of a policy and what follows from it. The first true `deny` or `allow` ends the policy."""

    condition: Annotated[
        Text, Meta(min_length=1, description="Expression over service, segment, arm and model attributes.")
    ]
    action: Annotated[PolicyAction, Meta(description="What a true condition does to a proposed change.")] = "deny"
    message: Annotated[Text, Meta(description="Shown to people when the rule applies.")] = ""


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A governance policy: conditions every proposed change is held against, in the form governance tools write as YAML
    (`service apply --policies FILE.yaml`). `docs/policies.md` has the language.
    """

    id: Annotated[str, Meta(min_length=1, max_length=200, description="Unique in the document.")]
    name: Annotated[Text, Meta(description="Title for people.")] = ""
    type: Annotated[PolicyType, Meta(description="Kind of policy.")] = "compliance"
    rules: Annotated[tuple[PolicyRule, ...], Meta(max_length=32, description="Conditions, in order.")] = ()


class Verify(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """When a split counts as followed: the shares seen in telemetry are the proof, not the gateway's answer."""

    deadline_minutes: Annotated[
        int, Meta(ge=1, le=1440, description="Minutes until a split that is not seen in telemetry is `unknown`.")
    ] = 15
    requests_min: Annotated[
        int, Meta(ge=1, le=1_000_000, description="Requests of the new version needed before the shares are judged.")
    ] = 100
