"""Off-policy estimates: what a policy would have earned on a log, where only the called arms answered.

For values v, chosen arms a and propensities p (the chance that the log holds the answer of a), in the order of play:

    replay              mean of v where a was called                               (Li and others, 2011)
    inverse propensity  sum of v/p over sum of 1/p where a was called              (self-normalised: Hajek)
    doubly robust       mean of m + [a was called] (v - m) / p                     (Dudik, Langford and Li, 2011)

m is the mean of that arm in that segment over earlier rows only, so the last is unbiased whenever the propensities are
right, whatever m is. Replay is honest only where the log called arms evenly. Intervals are normal, 95 %.
"""

import msgspec
import numpy as np

from app.core.backtest.play import Played
from app.core.backtest.table import Floats, Ints, Table

Z = 1.959964
SEGMENT_N = 20.0
"""Answers of an arm in a segment from which the segment's own shares and means count more than the arm's."""
LEAST = 1e-3
"""Lowest estimated propensity: an arm the log hardly knows is not weighed by more than its inverse."""


class Estimate(msgspec.Struct, frozen=True):
    """Mean with its 95 % interval; ``n``: answers behind it. Without answers nothing is known: nan, so no number."""

    value: float
    low: float
    high: float
    n: int


class Estimates(msgspec.Struct, frozen=True):
    """The same mean by three roads."""

    replay: Estimate
    inverse_propensity: Estimate
    doubly_robust: Estimate


def propensities(table: Table) -> Floats:
    """Requests x arms: the chance that the log holds the arm's answer to the request.

    Of the arm called, the table's column ``propensity`` where it has one; else the share of rows that hold the arm's
    answer, in the request's segment as far as it has rows. That is right for a log that looked at the segment at most.
    """
    called = table.called.astype(float)
    overall = called.mean(axis=0)
    counts = np.bincount(table.segment, minlength=len(table.segments))
    inside = np.zeros((len(table.segments), len(table.arms)))
    np.add.at(inside, table.segment, called)
    shares = (inside + SEGMENT_N * overall) / (counts[:, None] + SEGMENT_N)
    found: Floats = np.maximum(LEAST, shares[table.segment])
    if table.propensity is None:
        return found
    return np.asarray(np.where(table.called, table.propensity[:, None], found))


def estimates(table: Table, values: Floats, played: Played) -> Estimates:
    """Mean of ``values`` (requests x arms, nan where not called) under the decisions of ``played``, one pass."""
    at = played.rows, played.arms
    seen = table.called[at]
    value, p = values[at][seen], propensities(table)[at][seen]
    model = _earlier(table, values, played.rows)[np.arange(len(seen)), played.arms]
    terms = model.copy()
    terms[seen] += (value - model[seen]) / p
    return Estimates(_mean(value, len(value)), _weighted(value, 1.0 / p), _mean(terms, len(value)))


def constant(table: Table, values: Floats, rows: Ints) -> list[Estimates]:
    """The same for every arm alone, in the order of ``table.arms``."""
    arms = (np.full(len(rows), arm) for arm in range(len(table.arms)))
    return [estimates(table, values, Played(rows, chosen)) for chosen in arms]


def _mean(terms: Floats, n: int) -> Estimate:
    if len(terms) < 2:
        return Estimate(np.nan, np.nan, np.nan, n)
    value, error = float(terms.mean()), float(terms.std(ddof=1)) / len(terms) ** 0.5
    return Estimate(value, value - Z * error, value + Z * error, n)


def _weighted(values: Floats, weights: Floats) -> Estimate:
    if len(values) < 2:
        return Estimate(np.nan, np.nan, np.nan, len(values))
    value = float((weights * values).sum() / weights.sum())
    error = float(np.sqrt(np.square(weights * (values - value)).sum())) / float(weights.sum())
    return Estimate(value, value - Z * error, value + Z * error, len(values))


def _earlier(table: Table, values: Floats, rows: Ints) -> Floats:
    """Mean of each arm over the rows played before, drawn to the segment's own; requests of play x arms."""
    known, value = table.called[rows].astype(float), np.nan_to_num(values[rows])
    segment = table.segment[rows]
    total, n = _before(value), _before(known)
    all_n = n.sum(axis=1, keepdims=True)
    anything = np.where(all_n > 0.0, total.sum(axis=1, keepdims=True) / np.maximum(1.0, all_n), 0.0)
    overall = (total + anything) / (n + 1.0)
    out = overall.copy()
    for s in np.unique(segment) if len(table.segments) > 1 else ():
        here = segment == s
        out[here] = (_before(value[here]) + SEGMENT_N * overall[here]) / (_before(known[here]) + SEGMENT_N)
    return out


def _before(values: Floats) -> Floats:
    """Running sums that leave out the row itself."""
    return np.asarray(np.cumsum(values, axis=0) - values)
