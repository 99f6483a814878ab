"""What a condition may talk about: every name with its kind and meaning. The page docs/policies.md is made from it."""

import difflib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

Kind = Literal["number", "text", "boolean", "list", "any"]

METRICS: Mapping[str, str] = MappingProxyType(
    {
        "cost_usd": "mean cost of a request of the arm, USD; before its first 20 requests by the price book",
        "latency_ms": "mean latency of the arm, ms",
        "error_rate": "share of the arm's answers that failed, 0-1",
        "quality_score": "mean score of the arm in the objective's channel, 0-1",
        "input_tokens": "mean input tokens of a request of the arm",
        "output_tokens": "mean output tokens of a request of the arm",
        "daily_cost": "what the service has spent in the budget's day so far, USD",
        "monthly_cost": "what the service has spent in the budget's month so far, USD",
        "requests_per_minute": "requests of the service a minute, over about ten minutes",
    }
)
"""Numbers that are measured, so that they may be unknown for a while."""

NAMES: Mapping[str, tuple[Kind, str]] = MappingProxyType(
    {
        "service.name": ("text", "name of the service"),
        "service.mode": ("text", "observe, recommend, approve or auto"),
        "service.policy": ("text", "single or mix"),
        "service.gateway": ("text", "gateway that follows the split"),
        "segment.name": ("text", "segment, `*` without segments, `other` for what is not declared"),
        "user.tenant": ("text", "tenant of the segment's users; known when segments are by tenant"),
        "user.task_type": ("text", "what is asked; known when segments are by task type"),
        "user.region": ("text", "region of the segment's users; known when segments are by region"),
        "segment.tenant": ("text", "the same as user.tenant"),
        "segment.task_type": ("text", "the same as user.task_type"),
        "segment.region": ("text", "the same as user.region"),
        "arm.name": ("text", "arm that would get traffic"),
        "arm.prompt_version": ("text", "its prompt"),
        "arm.capabilities": ("list", "what it can do"),
        "model.name": ("text", "its model"),
        "model.provider": ("text", "its provider"),
        "model.region": ("text", "where the model runs; empty when the document does not say"),
        "model.capabilities": ("list", "the same as arm.capabilities"),
        "arm.model": ("text", "the same as model.name"),
        "arm.provider": ("text", "the same as model.provider"),
        "arm.region": ("text", "the same as model.region"),
        "incumbent.name": ("text", "arm it would replace"),
        "change.action": ("text", "open-trial, next-step, admit or promote"),
        "change.share": ("number", "share of the traffic the arm would get, 0-1"),
        **{name: ("number", meaning) for name, meaning in METRICS.items()},
    }
)

FREE: Mapping[str, str] = MappingProxyType(
    {
        "arm.parameters": "a parameter of the arm as the document has it, such as arm.parameters.temperature",
        "arm.features": "a feature of the arm, such as arm.features.cache",
    }
)
"""Tables of the document whose keys are free: `arm.parameters.<key>`."""


def kind_of(name: str) -> Kind | None:
    """Kind of a name; None when there is no such name."""
    table, _, key = name.rpartition(".")
    if table in FREE and key:
        return "any"
    return NAMES[name][0] if name in NAMES else None


def similar(name: str) -> str:
    """The nearest known name, or ""."""
    return next(iter(difflib.get_close_matches(name, NAMES, n=1, cutoff=0.5)), "")
