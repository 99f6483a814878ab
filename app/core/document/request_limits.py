"""Limits of the requests a change brings about: what they may cost, take and hold, where and what answers them."""

from typing import Annotated

import msgspec
from msgspec import Meta

Text = Annotated[str, Meta(min_length=1, max_length=200)]
Usd = Annotated[float, Meta(gt=0, le=1e6)]
Milliseconds = Annotated[float, Meta(gt=0, le=1e9)]
Tokens = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Rate = Annotated[float, Meta(ge=0, le=1)]


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What an arm must keep to get more traffic: a trial, its next step, the whole service (`docs/policies.md`)."""

    cost_usd_per_request: Annotated[Usd | None, Meta(description="Most a request may cost on average, USD.")] = None
    latency_ms: Annotated[Milliseconds | None, Meta(description="Most a request may take on average, ms.")] = None
    tokens_per_request: Annotated[
        Tokens | None, Meta(description="Most input and output tokens a request may have on average.")
    ] = None
    output_tokens: Annotated[
        Tokens | None,
        Meta(description="Most output tokens: of the arm's `parameters.max_tokens` if it has them, else the average."),
    ] = None
    quality_min: Annotated[Rate | None, Meta(description="Least mean score, 0-1, of the objective's channel.")] = None
    error_rate: Annotated[Rate | None, Meta(description="Largest share of failed answers, 0-1.")] = None
    approved_models: Annotated[
        tuple[Text, ...], Meta(max_length=256, description="Models that may answer at all; none listed: all.")
    ] = ()
    residency: Annotated[
        dict[Text, tuple[Text, ...]],
        Meta(max_length=16, description='Regions in which a segment may be answered; `"*"` is every segment.'),
    ] = {}
