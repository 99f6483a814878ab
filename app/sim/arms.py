"""How a simulated arm answers: stated price, latency law, quality law and error rate, drawn per request id.

What: latency is lognormal around ``base_ms + per_token_ms * output tokens`` (the median), quality is a judge's score,
Bernoulli when ``sd`` is 0, else Beta with that mean and standard deviation; a task shifts the mean by a stated offset.
The same (seed, request, arm) always gives the same answer, so two policies can be compared on the same luck.
Units: ms, USD, USD per million tokens, quality in [0, 1].
"""

import math
from functools import lru_cache
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from app.sim.draws import normal, uniforms

Fraction = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]

_GRID = 2_049
"""Points of a quantile table: the mean of a Beta law is kept to better than 1e-3."""


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """USD per million tokens."""

    input_usd_per_mtok: NotNegative
    output_usd_per_mtok: NotNegative


class LatencyLaw(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Lognormal: median ``base_ms + per_token_ms * output_tokens``, ``sigma`` of the logarithm; ``ttft_ms`` median."""

    base_ms: Positive
    per_token_ms: NotNegative = 0.0
    sigma: NotNegative = 0.3


class QualityLaw(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A judge's score: ``mean`` plus the task's offset; ``sd`` 0 = right or wrong (Bernoulli), else Beta."""

    mean: Fraction
    sd: Annotated[float, Meta(ge=0, lt=0.5)] = 0.0
    tasks: dict[str, float] = {}

    def mean_for(self, task: str) -> float:
        """Mean score for ``task``, kept inside [0.01, 0.99]."""
        return min(0.99, max(0.01, self.mean + self.tasks.get(task, 0.0)))


class ArmModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The behaviour of one arm. ``response_model`` and ``fingerprint`` are what the provider reports back;
    ``verbosity`` multiplies the length of answers, ``input_factor`` that of prompts.
    """

    name: str
    model: str
    price: Price
    latency: LatencyLaw
    quality: QualityLaw
    provider: str = ""
    error_rate: Fraction = 0.0
    response_model: str = ""
    fingerprint: str = ""
    verbosity: Positive = 1.0
    input_factor: Positive = 1.0


class Effect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an idea does to an arm the optimizer makes of another: ``points`` of quality, factors of the rest."""

    points: Annotated[float, Meta(ge=-1, le=1)] = 0.0
    input_factor: Annotated[float, Meta(gt=0, le=10)] = 1.0
    latency_factor: Annotated[float, Meta(gt=0, le=10)] = 1.0
    verbosity_factor: Annotated[float, Meta(gt=0, le=10)] = 1.0


def changed(arm: ArmModel, effect: Effect, name: str) -> ArmModel:
    """An arm called ``name`` that behaves as ``arm`` does under ``effect``."""
    law = arm.latency
    return msgspec.structs.replace(
        arm,
        name=name,
        input_factor=arm.input_factor * effect.input_factor,
        verbosity=arm.verbosity * effect.verbosity_factor,
        latency=msgspec.structs.replace(
            law, base_ms=law.base_ms * effect.latency_factor, per_token_ms=law.per_token_ms * effect.latency_factor
        ),
        quality=msgspec.structs.replace(arm.quality, mean=min(1.0, max(0.0, arm.quality.mean + effect.points))),
    )


class Answer(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What came back. A failed answer (``ok`` False) costs its input, has no output and ``quality`` is None."""

    latency_ms: float
    ttft_ms: float
    output_tokens: int
    cost_usd: float
    ok: bool
    quality: float | None


def answer(arm: ArmModel, *, seed: int, request: str, task: str, input_tokens: int, output_tokens: int) -> Answer:
    """The answer of ``arm`` to ``request``; ``output_tokens`` is how long a good answer is."""
    fails, slowness, score = _luck(arm, seed, request)
    ok = fails >= arm.error_rate
    written = round(output_tokens * arm.verbosity) if ok else 0
    stretch = math.exp(arm.latency.sigma * normal(slowness))
    first_ms = arm.latency.base_ms * stretch
    return Answer(
        latency_ms=round(first_ms + arm.latency.per_token_ms * written * stretch, 3),
        ttft_ms=round(first_ms, 3),
        output_tokens=written,
        cost_usd=cost_usd(arm.price, input_tokens, written),
        ok=ok,
        quality=_score(arm.quality, task, score) if ok else None,
    )


def succeeds(arm: ArmModel, *, seed: int, request: str) -> bool:
    """Whether ``answer`` would be ok."""
    return _luck(arm, seed, request)[0] >= arm.error_rate


def _luck(arm: ArmModel, seed: int, request: str) -> list[float]:
    """What decides over failure, latency and score of this request at this arm."""
    return uniforms(3, seed, request, arm.name)


def cost_usd(price: Price, input_tokens: int, output_tokens: int) -> float:
    """Price of one request in USD."""
    return (price.input_usd_per_mtok * input_tokens + price.output_usd_per_mtok * output_tokens) / 1e6


def _score(law: QualityLaw, task: str, uniform: float) -> float:
    mean = law.mean_for(task)
    if law.sd == 0:
        return 1.0 if uniform < mean else 0.0
    table = _beta_quantiles(round(mean, 6), law.sd)
    at = uniform * (_GRID - 1)
    low = int(at)
    return round(float(table[low] + (at - low) * (table[low + 1] - table[low])), 6)


@lru_cache(maxsize=256)
def _beta_quantiles(mean: float, sd: float) -> NDArray[np.float64]:
    from scipy.special import betaincinv  # 0.2 s to import: only for whoever simulates

    spread = min(sd, 0.95 * (mean * (1 - mean)) ** 0.5)  # a Beta law is never wider than its Bernoulli
    concentration = mean * (1 - mean) / spread**2 - 1
    grid = np.linspace(0, 1, _GRID)
    return np.asarray(betaincinv(mean * concentration, (1 - mean) * concentration, grid), dtype=np.float64)
