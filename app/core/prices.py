"""What requests cost that came without a cost: a price book applied to token moments, exactly.

cost = input*a + output*b + cached*c with c = cached price - input price: cached tokens are part of the input tokens
(OpenTelemetry GenAI, ``gen_ai.usage.cache_read.input_tokens``). Cost is linear in the tokens, so sums of cost, of its
square and of input*cost are linear and quadratic forms of the moments kept in ``Unpriced``. USD, tokens.
"""

import bisect

import msgspec

from app.core.cell import Cell, Unpriced
from app.core.document import Price, ServiceDocument
from app.core.events import epoch_s

MILLION = 1_000_000


class TokenPrice(msgspec.Struct, frozen=True):
    """USD per token: ``input`` (not cached), ``output``, ``cached``; ``compute``: USD per second of an answer."""

    input: float
    output: float
    cached: float
    compute: float = 0.0

    @property
    def coefficients(self) -> tuple[float, float, float]:
        """USD per unit of (input, output, cached) when the input count includes the cached tokens."""
        return self.input, self.output, self.cached - self.input

    def cost(self, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> float:
        """USD of one request; ``cached_tokens`` are part of ``input_tokens``."""
        a, b, c = self.coefficients
        return a * input_tokens + b * output_tokens + c * cached_tokens


class Costs(msgspec.Struct, frozen=True):
    """Sums over the requests of a cell whose cost is known or priced: number, USD, USD squared, input tokens * USD.

    ``unknown`` requests have neither a cost nor a price and are in no sum.
    """

    n: int
    total: float
    squares: float
    input_cost: float
    unknown: int


class PriceBook:
    """Prices of a document by model and event time. Immutable."""

    __slots__ = ("_by_model", "_model_of")

    def __init__(self, document: ServiceDocument) -> None:
        self._model_of = {arm.name: arm.model or arm.name for arm in document.arms}
        self._by_model: dict[str, list[tuple[int, TokenPrice]]] = {}
        for price in document.prices:
            since_s = epoch_s(price.valid_from) if price.valid_from else 0
            self._by_model.setdefault(price.model, []).append((since_s, _per_token(price)))
        for versions in self._by_model.values():
            versions.sort(key=lambda version: version[0])

    def of_model(self, model: str, time_s: int) -> TokenPrice | None:
        """Price of ``model`` at event time ``time_s`` (epoch seconds); None before its first price or without one."""
        versions = self._by_model.get(model, [])
        at = bisect.bisect_right(versions, time_s, key=lambda version: version[0])
        return versions[at - 1][1] if at else None

    def of_arm(self, arm: str, time_s: int) -> TokenPrice | None:
        """Price of the model of ``arm``; an arm that is not declared is its own model."""
        return self.of_model(self._model_of.get(arm, arm), time_s)


def _per_token(price: Price) -> TokenPrice:
    cached = price.input_usd if price.cached_usd is None else price.cached_usd
    return TokenPrice(price.input_usd / MILLION, price.output_usd / MILLION, cached / MILLION, price.compute_usd_per_s)


def cost_moments(unpriced: Unpriced, price: TokenPrice) -> tuple[float, float]:
    """(sum of cost, sum of cost squared) of the unpriced requests, USD and USD squared."""
    a, b, c = price.coefficients
    cost = a * unpriced.input + b * unpriced.output + c * unpriced.cached
    squares = a * a * unpriced.input_sq + b * b * unpriced.output_sq + c * c * unpriced.cached_sq
    crossed = a * b * unpriced.input_output + a * c * unpriced.input_cached + b * c * unpriced.output_cached
    return cost, max(0.0, squares + 2 * crossed)


def input_cost(unpriced: Unpriced, price: TokenPrice) -> float:
    """Sum of input tokens * cost of the unpriced requests: what the regression of savings needs (STATISTICS 6)."""
    a, b, c = price.coefficients
    return a * unpriced.input_sq + b * unpriced.input_output + c * unpriced.input_cached


def costs(cell: Cell, price: TokenPrice | None) -> Costs:
    """Cost sums of a cell of one arm: the costs that came with the requests, and the priced rest."""
    rest = cell.unpriced
    if rest is None or rest.n == 0 or price is None:
        unknown = rest.n if rest is not None else 0
        return Costs(cell.cost_n, cell.cost_usd, cell.cost_sq, cell.input_cost, unknown)
    total, squares = cost_moments(rest, price)
    return Costs(
        n=cell.cost_n + rest.n,
        total=cell.cost_usd + total,
        squares=cell.cost_sq + squares,
        input_cost=cell.input_cost + input_cost(rest, price),
        unknown=0,
    )
