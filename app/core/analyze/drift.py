"""Drift: prompts and answers that change in length, and models that change in silence.

Lengths are pane series of the logarithm of mean tokens. The response model and fingerprint that providers report are a
set an arm: the pairs of its first ``LEARN_N`` answers are known; a new pair is a finding at once. It ends when only
known pairs answered for ``CLEAN_PANES`` panes, or after a day, when the new pair has become known.
"""

from math import exp, log1p

import msgspec

from app.core.analyze.finding import Cleared, Note, Severity, Signal
from app.core.analyze.ring_watch import LIMIT_N, RingWatch, enough, step_sums
from app.core.analyze.scope import Scope
from app.core.analyze.series import CLEAN_PANES, IDLE, NEW_NORMAL_S, Excursion
from app.core.analyze.telling import told
from app.core.analyze.wording import INPUT, OUTPUT, Metric
from app.core.cell import SEPARATOR, Cell

LEARN_N = 100
LEARN_PANES = 5
KNOWN_MAX = 16
LENGTH_TOLERANCE = 0.25
"""Relative change of a mean length that counts as 1."""
LENGTH_IDLE = log1p(IDLE * LENGTH_TOLERANCE)
LENGTH_MOST = 1.9
"""Lengths alone are never more than a warning: what follows from them is."""


class Models(msgspec.Struct, frozen=True, array_like=True):
    """``known`` pairs, newest last; ``n`` answers and ``panes`` learned from; ``new`` pairs since ``since_s``."""

    known: tuple[str, ...] = ()
    n: int = 0
    panes: int = 0
    new: tuple[str, ...] = ()
    since_s: int = 0
    clean: int = 0


class Drift(msgspec.Struct, frozen=True, array_like=True):
    """State of one arm."""

    models: Models = Models()
    input: RingWatch = RingWatch()
    output: RingWatch = RingWatch()


def answered(state: Drift, scope: Scope, cell: Cell) -> tuple[Drift, list[Note]]:
    """Which models answer, of any closed pane with answers: an incomplete one shows it as well."""
    models, notes = _models(state.models, scope, cell)
    return (state if models is state.models else Drift(models, state.input, state.output)), notes


def step(state: Drift, scope: Scope, cell: Cell) -> tuple[Drift, list[Note]]:
    """Add the lengths of a closed complete pane."""
    if not cell.n:
        return state, []
    ring, notes = _length(state.input, scope, cell.n, cell.input_tokens, INPUT)
    written, said = _length(state.output, scope, cell.n - cell.errors, cell.output_tokens, OUTPUT)
    return Drift(state.models, ring, written), notes + said


def _length(ring: RingWatch, scope: Scope, n: int, tokens: int, metric: Metric) -> tuple[RingWatch, list[Note]]:
    if n <= 0:
        return ring, []
    ring, moved = step_sums(
        ring, n, tokens, n, enough(LENGTH_TOLERANCE), scope.limits(LIMIT_N).cusum, scope.now_s,
        look=scope.look, above=LENGTH_IDLE, below=LENGTH_IDLE, name=scope.detector,
    )  # fmt: skip
    if not moved:
        return ring, []
    key = scope.key("tokens", metric.name)

    def changed(out: Excursion) -> Signal | None:
        moved = exp(min(50.0, abs(out.value - out.usual))) - 1.0
        times = min(LENGTH_MOST, moved / LENGTH_TOLERANCE)
        verb = "rise" if out.value > out.usual else "fall"
        kind = f"{metric.name.replace('_', '-')}-{verb}"
        return scope.signal("drift", key, kind, metric, out, times) if times >= 1.0 else None

    return told(ring, moved, key, changed)


def _models(models: Models, scope: Scope, cell: Cell) -> tuple[Models, list[Note]]:
    if not cell.models:
        return models, []
    unknown = tuple(pair for pair in cell.models if pair not in models.known)
    if models.n < LEARN_N or models.panes < LEARN_PANES:
        known = (*models.known, *unknown)[-KNOWN_MAX:]
        return Models(known, models.n + cell.n, models.panes + 1), []
    key = scope.key("model", "response")
    if unknown:
        fresh = tuple(pair for pair in unknown if pair not in models.new)
        since_s = models.since_s or scope.now_s
        if scope.now_s - since_s >= NEW_NORMAL_S:
            known = (*models.known, *models.new, *fresh)[-KNOWN_MAX:]
            return Models(known, models.n, models.panes), [Cleared(key, "the new model is taken as known after a day")]
        seen = (*models.new, *fresh)[-KNOWN_MAX:]
        changed = msgspec.structs.replace(models, new=seen, since_s=since_s, clean=0)
        return changed, [_changed(models, scope, key, fresh)] if fresh else []
    if not models.new:
        return models, []
    if models.clean + 1 < CLEAN_PANES:
        return msgspec.structs.replace(models, clean=models.clean + 1), []
    back = Models(models.known, models.n, models.panes)
    return back, [Cleared(key, "only the models known before answer again")]


def _changed(models: Models, scope: Scope, key: str, fresh: tuple[str, ...]) -> Signal:
    """Another name is serious; the same name with another fingerprint happens to be routine at some providers."""
    names = {pair.partition(SEPARATOR)[0] for pair in models.known}
    renamed = [pair for pair in fresh if pair.partition(SEPARATOR)[0] not in names]
    severity: Severity = "high" if renamed else "warning"
    shown, before = ", ".join(map(_plain, renamed or fresh)), ", ".join(map(_plain, models.known))
    return Signal(
        key=key,
        arm=scope.arm,
        segment=scope.segment,
        analyzer="drift",
        family="model",
        kind="model-change" if renamed else "fingerprint-change",
        metric="response_model",
        severity=severity,
        value=float(len(fresh)),
        compared_with=0.0,
        threshold=0.0,
        detail=f"{scope.arm} is answered by {shown}; known are {before}.",
        evidence={"new": [_plain(p) for p in fresh], "known": [_plain(p) for p in models.known]},
    )


def _plain(pair: str) -> str:
    model, _, fingerprint = pair.partition(SEPARATOR)
    return f"{model} ({fingerprint})" if fingerprint else model
