"""What is known of an arm before its trial: its own means, else its price on the tokens of the present traffic.

Cost is what requests are billed (tokens), what an own GPU takes for them (compute), and the penalty of late answers;
unit prices come from the versioned price book. A switch to an arm with another model or prompt reads every live prompt
prefix once without the provider's cache: that loss is spread over the day for which a change is expected to stay. Where
the new model has no cached price, the discount is gone for good and stands in its price. USD, ms, quality in [0, 1].
"""

import math
from statistics import NormalDist

import msgspec

from app.core.decision import Impact
from app.core.document import Arm, ServiceDocument
from app.core.levers.lever import View
from app.core.prices import PriceBook, TokenPrice
from app.core.profile import Profile

CACHE_LIFE_MINUTES = 5
"""How long providers keep a prompt prefix that nobody asks for."""
STAYS_MINUTES = 1440
"""A change is taken to stay a day."""

_phi = NormalDist().cdf


class Expectation(msgspec.Struct, frozen=True):
    """Known means of an arm; None where nothing is known. ``cost`` includes compute and the penalty of late answers."""

    cost: float | None
    latency: float | None
    quality: float | None


class Costs(msgspec.Struct, frozen=True):
    """What a request is expected to cost, by cause (USD)."""

    tokens: float = 0.0
    compute: float = 0.0
    late: float = 0.0
    cache_lost: float = 0.0

    @property
    def total(self) -> float:
        """USD a request."""
        return self.tokens + self.compute + self.late + self.cache_lost


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """What the arms are compared on: the ``profile`` of the incumbent's traffic, and the prices of now."""

    document: ServiceDocument
    book: PriceBook
    incumbent: Arm
    profile: Profile
    now_s: int
    log_variance: float
    """Variance of the logarithm of a latency."""


def traffic_of(view: View) -> Traffic:
    """The traffic a view shows; the first arm stands in for an incumbent that is not declared."""
    document = view.document
    return Traffic(
        document=document,
        book=PriceBook(document),
        incumbent=document.arm(view.incumbent) or (document.arms[0] if document.arms else Arm(name="none")),
        profile=view.profiles.get(view.incumbent, Profile()),
        now_s=view.now_s,
        log_variance=view.spread.latency,
    )


def expectation(traffic: Traffic, arm: Arm, profile: Profile) -> Expectation:
    """What is known of ``arm``, whose own traffic so far is ``profile``, for this traffic."""
    costs = costs_of(traffic, arm, profile)
    return Expectation(None if costs is None else costs.total, profile.latency, profile.mean_quality)


def costs_of(traffic: Traffic, arm: Arm, profile: Profile) -> Costs | None:
    """The parts of the expected cost, or None where neither own traffic nor a price says anything."""
    price = traffic.book.of_model(arm.model or arm.name, traffic.now_s)
    latency = profile.latency if profile.latency is not None else traffic.profile.latency
    tokens, asked = profile.cost, traffic.profile
    if tokens is None:
        if price is None or asked.n < 1:
            return None
        tokens = _on_tokens(price, asked)
    return Costs(
        tokens=tokens,
        compute=price.compute * latency / 1000 if price is not None and latency is not None else 0.0,
        late=late_usd(traffic.document, latency, traffic.log_variance),
        cache_lost=_cache_lost(price, arm, traffic) if profile.cost is None else 0.0,
    )


def _on_tokens(price: TokenPrice, traffic: Profile) -> float:
    a, b, c = price.coefficients
    return (a * traffic.input_tokens + b * traffic.output_tokens + c * traffic.cached_tokens) / traffic.n


def _cache_lost(price: TokenPrice | None, arm: Arm, traffic: Traffic) -> float:
    """USD a request: the cached tokens of one cache life are read once at the full price."""
    asked = traffic.profile
    if price is None or asked.n < 1 or _prefix(arm) == _prefix(traffic.incumbent):
        return 0.0
    return max(0.0, price.input - price.cached) * asked.cached_tokens / asked.n * CACHE_LIFE_MINUTES / STAYS_MINUTES


def _prefix(arm: Arm) -> tuple[str, str, str]:
    """What a provider's cache belongs to."""
    return arm.model, arm.provider, arm.prompt_version


def late_usd(document: ServiceDocument, latency_ms: float | None, variance: float) -> float:
    """Expected penalty of a request: ``late_usd_per_s`` times E(latency - limit)+ of a lognormal with this mean."""
    limit, rate = document.slo.latency_ms, document.objective.late_usd_per_s
    if not rate or limit is None or not latency_ms:
        return 0.0
    sd = math.sqrt(max(variance, 1e-6))
    d1 = (math.log(latency_ms / limit) + 0.5 * sd * sd) / sd
    return rate * max(0.0, latency_ms * _phi(d1) - limit * _phi(d1 - sd)) / 1000


def gain(document: ServiceDocument, now: Expectation, then: Expectation) -> float:
    """Expected change of the reward; what is unknown on either side counts as no change."""
    objective, total = document.objective, 0.0
    weights = objective.effective
    if now.quality is not None and then.quality is not None:
        total += weights.quality * (then.quality - now.quality)
    if now.cost is not None and then.cost is not None:
        total -= weights.cost * (then.cost - now.cost) / objective.cost_max_usd
    if now.latency is not None and then.latency is not None:
        total -= weights.latency * (then.latency - now.latency) / objective.latency_max_ms
    return total


def impacts(now: Expectation, then: Expectation, n: int) -> dict[str, Impact]:
    """The expected change of every metric known on both sides, from ``n`` requests of the incumbent."""
    found: dict[str, Impact] = {}
    if now.cost and then.cost is not None:
        found["cost"] = Impact(estimate=then.cost / now.cost - 1, n=n)
    if now.latency and then.latency is not None:
        found["latency"] = Impact(estimate=then.latency / now.latency - 1, n=n)
    if now.quality is not None and then.quality is not None:
        found["quality"] = Impact(estimate=then.quality - now.quality, n=n)
    return found
