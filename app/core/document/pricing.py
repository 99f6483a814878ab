"""Prices as the document states them; ``app.core.prices`` makes a book of them."""

from typing import Annotated

import msgspec
from msgspec import Meta

MAX_PRICES = 200

UsdPerMillion = Annotated[float, Meta(ge=0, le=1e6)]


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a model costs from a moment on, in USD per million tokens. Used only for requests that carry no cost."""

    model: Annotated[str, Meta(min_length=1, max_length=200, description="Model name as telemetry and arms spell it.")]
    input_usd: Annotated[UsdPerMillion, Meta(description="USD per million input tokens that were not cached.")]
    output_usd: Annotated[UsdPerMillion, Meta(description="USD per million output tokens.")]
    cached_usd: Annotated[
        UsdPerMillion | None,
        Meta(description="USD per million input tokens read from the provider's cache. Default: `input_usd`."),
    ] = None
    compute_usd_per_s: Annotated[
        float, Meta(ge=0, le=1e3, description="USD per second an answer takes: the price of an own GPU.")
    ] = 0.0
    valid_from: Annotated[
        str,
        Meta(description="First moment it holds: RFC 3339, a whole UTC minute (cells are minutes). Empty: since ever."),
    ] = ""
