"""What a closed pane teaches a row: profiles, the open trial, the bandit, the savings, the watch on the split."""

import msgspec

from app.core import off_policy
from app.core.budget import Budgeting, limited
from app.core.budget import learned as add_spend
from app.core.by_segment import BySegment, observed
from app.core.cell import Cell, add_cell, add_cell_without_groups, sum_of
from app.core.document import default_document
from app.core.events import is_name
from app.core.forecast import Spread, spread_of
from app.core.off_policy import OffPolicy
from app.core.open_pane import UNATTRIBUTED
from app.core.pacing import costs_of
from app.core.pane import ClosedPane
from app.core.patrol import walked
from app.core.policy.spending import asked_of_spending
from app.core.profile import Profile
from app.core.quality_kept import Judged, QualityKept, Scores
from app.core.quality_kept import add_minute as add_quality
from app.core.row import Row
from app.core.savings import FIT_MIN, Answered, InGroup, Moments, Savings, add_minute, groups_of, moments_of
from app.core.trial import Trial, covers, observe
from app.core.verify import watched
from app.core.weights import Mix, update, with_arms

SPREAD_MIN = 50
"""Requests of the incumbent in a pane from which its variances are worth a look."""
RATE_MEMORY = 0.9
"""Weight of the past in the request rate: about ten panes."""


def learned(row: Row, pane: ClosedPane) -> Row:
    """``row`` after ``pane``; nothing is decided here."""
    if not row.declared:
        row = _grown(row, pane)
    n = sum(summary.cell.n for summary in pane.arms.values())
    rate = RATE_MEMORY * row.requests_per_minute + (1 - RATE_MEMORY) * n if row.requests_per_minute else float(n)
    return msgspec.structs.replace(
        row,
        profiles=_profiles(row, pane),
        trial=_trial(row, row.trial, pane) if row.trial is not None else None,
        contest=tuple(_trial(row, one, pane) for one in row.contest),
        savings=_savings(row, pane),
        off_policy=_off_policy(row, pane),
        quality_kept=_quality_kept(row, pane),
        budgeting=_budgeting(row, pane),
        mix=_mix(row, pane) if row.document.policy == "mix" else row.mix,
        spread=_spread(row, pane),
        trial_segments=_trial_segments(row, pane),
        watch=watched(row.watch, pane, row.document.verify.deadline_minutes) if row.watch else None,
        patrol=walked(row.patrol, pane) if row.patrol and not row.watch else row.patrol,
        requests_per_minute=rate,
    )


def _grown(row: Row, pane: ClosedPane) -> Row:
    """An unknown service appears with the models seen as its arms (mode observe)."""
    known = row.document.arm_names
    fresh = sorted({arm for arm, _ in pane.arms if arm != UNATTRIBUTED and arm not in known and is_name(arm)})
    if not fresh:
        return row
    document = default_document(row.service, (*known, *fresh))
    return msgspec.structs.replace(row, document=document, incumbent=document.incumbent)


def _trial(row: Row, trial: Trial, pane: ClosedPane) -> Trial:
    """An open trial with this minute's trial and control cells (or shadow and control), of its own versions only."""
    tried, control, slice_ = Cell(), Cell(), "shadow" if trial.mirrored else "trial"
    for key, cell in pane.cells.items():
        if covers(trial, key.version):
            if key.slice == slice_ and key.arm == trial.arm:
                add_cell(tried, cell)
            elif key.slice == "control" and key.arm == trial.control_arm:
                add_cell(control, cell)
    channel = row.document.objective.score_channel
    return observe(trial, pane.number, tried, control, complete=pane.complete, channel=channel)


def _trial_segments(row: Row, pane: ClosedPane) -> BySegment:
    if row.trial is None or not row.document.segments.by:
        return {}
    return observed(row.trial_segments, row.trial, pane, row.document.objective.score_channel)


def _mix(row: Row, pane: ClosedPane) -> Mix:
    """The bandit over the serving arms, fed by main traffic alone: trials and holdout are not its doing."""
    arms = tuple(name for name in row.document.arm_names if name in row.serving)
    mix = with_arms(row.mix, arms, row.document.segment_names, row.incumbent)
    cells: dict[tuple[str, str], list[Cell]] = {}
    for key, cell in sorted(pane.cells.items()):
        if key.slice == "main":
            cells.setdefault((key.arm, key.segment), []).append(cell)
    sums = {where: sum_of(parts, add_cell_without_groups) for where, parts in cells.items()}
    return update(mix, pane.number, sums, row.document.objective.score_channel)


def _spread(row: Row, pane: ClosedPane) -> Spread:
    """How much single answers of the incumbent vary, blended over about ten panes."""
    own = [summary.cell for (arm, _), summary in pane.arms.items() if arm == row.incumbent]
    total = sum_of(own, add_cell_without_groups)
    if total.n < SPREAD_MIN:
        return row.spread
    new, old = spread_of(total, row.document.objective.score_channel), row.spread
    pairs = zip(msgspec.structs.astuple(old), msgspec.structs.astuple(new), strict=True)
    return Spread(*(RATE_MEMORY * a + (1 - RATE_MEMORY) * b for a, b in pairs))


def _savings(row: Row, pane: ClosedPane) -> Savings:
    """Savings with this minute's requests, by the probabilities of the version each was answered under. An incomplete
    minute proves nothing: who is missing may be one arm's gateway.
    """
    if not pane.complete:
        n = sum(cell.n for key, cell in pane.cells.items() if key.slice != "shadow")
        return msgspec.structs.replace(row.savings, incomplete=row.savings.incomplete + n)
    versions = {past.version: past.shares for past in row.history if past.shares.holdout > 0}
    if not versions:
        return row.savings
    sums: dict[tuple[int, str, str], list[Moments]] = {}
    groups: dict[tuple[int, str, str], list[tuple[InGroup, ...]]] = {}
    uncosted = in_session = 0
    own_cost = 0.0
    for key, cell in sorted(pane.cells.items()):
        own_cost += cell.own_cost_usd + (cell.cost_usd if key.slice == "shadow" else 0.0)
        shares = versions.get(key.version)
        if shares is None or key.slice == "shadow" or not cell.n:
            continue
        moments = moments_of(cell)
        if not moments.n or shares.probability(key.segment, key.arm) <= 0:
            uncosted += cell.n
            continue
        in_session += cell.in_session
        where, held = (key.version, key.segment, key.arm), key.slice == "holdout"
        sums.setdefault(where, [Moments(), Moments()])[held] += moments
        groups.setdefault(where, [(), ()])[held] += groups_of(cell)
    answered = [Answered(versions[at[0]], at[1], at[2], rest, held, *groups[at]) for at, (rest, held) in sums.items()]
    if not answered and not uncosted:
        return row.savings
    savings = add_minute(row.savings, answered)
    return msgspec.structs.replace(
        savings,
        uncosted=savings.uncosted + uncosted,
        in_session=savings.in_session + in_session,
        own_cost=savings.own_cost + own_cost,
        since_s=savings.since_s or pane.start_s,
    )


def _quality_kept(row: Row, pane: ClosedPane) -> QualityKept:
    """Scores of a complete minute by the probabilities of the version each answer was given under."""
    if not pane.complete:
        return row.quality_kept
    versions = {past.version: past.shares for past in row.history if past.shares.holdout > 0}
    if not versions:
        return row.quality_kept
    channel, judged = row.document.objective.score_channel, list[Judged]()
    for key, cell in sorted(pane.cells.items()):
        shares, score = versions.get(key.version), cell.quality.get(channel)
        if shares is None or key.slice == "shadow" or shares.probability(key.segment, key.arm) <= 0:
            continue
        scores = Scores(float(score.n), score.total, score.squares) if score else Scores()
        groups = tuple((g, float(s.scores), s.quality) for g, s in sorted(cell.groups.items()) if s.scores)
        groups = groups if channel == "judge" else ()
        judged.append(Judged(shares, key.segment, key.arm, key.slice == "holdout", float(cell.n), scores, groups))
    return add_quality(row.quality_kept, judged) if judged else row.quality_kept


def _budgeting(row: Row, pane: ClosedPane) -> Budgeting:
    """What was spent, and what the main slice's requests should have cost by the means before this pane."""
    if not (limited(row.document) or asked_of_spending(row.document)):
        return row.budgeting
    known = {arm: cost for arm, profile in row.profiles.items() if (cost := profile.cost) is not None}
    means, expected = _mean_costs(row.mix, known), dict[str, float]()
    for key, cell in sorted(pane.cells.items()):
        if key.slice == "main":
            mean = means.get((key.segment, key.arm), known.get(key.arm))
            usd = cell.cost_usd if mean is None else cell.n * mean
            expected[key.segment] = expected.get(key.segment, 0.0) + usd
    return add_spend(row.budgeting, row.document, pane, expected)


def _mean_costs(mix: Mix, known: dict[str, float]) -> dict[tuple[str, str], float]:
    """USD a request by (segment, arm) of a mix."""
    if not mix.arms:
        return {}
    costs = costs_of(mix, known).tolist()
    return {(s, arm.name): costs[i][k] for i, s in enumerate(mix.segments) for k, arm in enumerate(mix.arms)}


def _off_policy(row: Row, pane: ClosedPane) -> OffPolicy:
    """Arms beside the incumbent in complete minutes, by the propensities of their versions and the regressions of the
    minutes before.
    """
    known = row.off_policy
    if not pane.complete or not (row.history or known.arms or known.sessions or known.incumbent != row.incumbent):
        return known
    lines = {arm: moments.line[1] for arm, moments in row.savings.arms.items() if moments.n >= FIT_MIN}
    versions = {past.version: past.shares for past in row.history}
    channel = row.document.objective.score_channel
    declared = row.document.arm_names
    return off_policy.learned(row.off_policy, row.incumbent, pane.cells, versions, lines, channel, declared)


def _profiles(row: Row, pane: ClosedPane) -> dict[str, Profile]:
    cells: dict[str, list[Cell]] = {}
    declared = set(row.document.arm_names)
    for (arm, _), summary in pane.arms.items():
        if arm in declared:
            cells.setdefault(arm, []).append(summary.cell)
    channel = row.document.objective.score_channel
    known = {arm: profile for arm, profile in row.profiles.items() if arm in declared}
    found = {
        arm: known.get(arm, Profile()).learned(sum_of(cells[arm], add_cell_without_groups), channel)
        for arm in sorted(cells)
    }
    promised = row.document.slo.latency_ms
    if promised is not None:
        for (arm, _), summary in sorted(pane.arms.items(), key=lambda item: item[0]):
            if arm in found and summary.histogram:
                found[arm] = found[arm].timed_by(summary.histogram, promised)
    return known | found
