"""The end of a run, for people: the story with its times, then a table of what was counted, decided and saved."""

from collections.abc import Iterator

from app.sim.report import Claim, Report, Saved
from app.sim.watch import Proof

WIDTH = 22


def lines(told: Report) -> Iterator[str]:
    """The lines of the summary."""
    yield ""
    for chapter in told.story:
        mark = "yes" if chapter.happened else "NO "
        at = chapter.at[11:16] or "     "
        yield f"  {mark}  {at}  {chapter.title}"
    yield ""
    yield from (f"  {name.ljust(WIDTH)}{value}" for name, value in _rows(told))
    yield ""
    if told.failures:
        yield from (f"FAILED: {failure}" for failure in told.failures)
    else:
        yield "All of it happened, and every event was counted once."


def _rows(told: Report) -> Iterator[tuple[str, str]]:
    exact, again = told.exactness, told.replayed
    yield "event time", f"{told.event_hours:g} h in {told.wall_s:.0f} s (seed {told.seed})"
    yield "requests", f"{told.requests:,} answered; {sum(told.sent.values()):,} events sent with duplicates and garbage"
    verdict = "exact" if exact.exact else "NOT EXACT"
    yield "counted", f"{exact.counted:,} of {exact.produced:,} in {exact.minutes:,} closed minutes: {verdict}"
    yield "judge scores", f"{exact.scores_counted:,} of {exact.scores_produced:,}"
    yield "dead letters", _counts(told.dead_letters)
    yield "decisions", _counts(told.decided)
    yield "outcomes", _counts(told.outcomes)
    yield "replay of the facts", f"{again.again} decisions again, {'byte for byte' if again.same else 'NOT the same'}"
    for claim in told.claims:
        yield f"{claim.arm} costs", f"{_interval(claim)} than {claim.instead_of} ({claim.requests:,} requests compared)"
    for saved in told.saved:
        yield "saved", _proven(saved.proof)
        yield "in truth", _true(saved)


def _proven(proof: Proof | None) -> str:
    """The optimizer's claim, or what its proof still lacks."""
    if proof is None:
        return "not proven yet"
    interval = "" if proof.low is None or proof.high is None else f" ({_usd(proof.low)} to {_usd(proof.high)})"
    verdict = (
        f"proven by {proof.holdout_requests:,} on the holdout" if proof.proven else f"not proven yet: {proof.why_not}"
    )
    return f"{_usd(proof.saving)} per 1,000 requests{interval}, {verdict}"


def _true(saved: Saved) -> str:
    whole = f"${saved.baseline_usd - saved.spent_usd:,.2f} of ${saved.baseline_usd:,.2f}"
    return f"{_usd(saved.true_saving)} per 1,000 requests, {whole}, as only the simulator can know"


def _usd(per_request: float) -> str:
    """USD per 1,000 requests."""
    return f"${1000 * per_request:,.2f}"


def _interval(claim: Claim) -> str:
    """``94 % less (93 % to 95 %)``: more or less is said once, so the numbers need no sign."""
    low, high = sorted((abs(claim.low or 0.0), abs(claim.high or 0.0)))
    return f"{abs(claim.ratio):.0%} {'less' if claim.ratio < 0 else 'more'} ({low:.0%} to {high:.0%})"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in sorted(counts.items())) or "none"
