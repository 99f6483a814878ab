"""A policy service: asked by the proposal on ``llm.optimizations``, answers by a ``policy-answer`` command."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class RemotePolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Whether a policy service must allow a trial before it begins (`docs/policies.md` has the events)."""

    required: Annotated[bool, Meta(description="Propose every trial and wait for the answer of a policy service.")] = (
        False
    )
    deadline_minutes: Annotated[
        int, Meta(ge=1, le=10_080, description="How long the answer may take, event-time minutes.")
    ] = 15
    on_policy_outage: Annotated[
        Literal["refuse", "allow"], Meta(description="What follows when no answer came by the deadline.")
    ] = "refuse"
