"""The end of a run, for people: the story with its times, then a table of what was counted, decided and saved."""

from collections.abc import Iterator

from app.sim.report import Claim, Report

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
        kept = saved.baseline_usd - saved.spent_usd
        yield (
            f"saved, {saved.service}",
            f"${kept:,.2f} of ${saved.baseline_usd:,.2f} ({saved.ratio:.0%}), the simulator's own count",
        )


def _interval(claim: Claim) -> str:
    """``94 % less (93 % to 95 %)``: more or less is said once, so the numbers need no sign."""
    low, high = sorted((abs(claim.low or 0.0), abs(claim.high or 0.0)))
    return f"{abs(claim.ratio):.0%} {'less' if claim.ratio < 0 else 'more'} ({low:.0%} to {high:.0%})"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in sorted(counts.items())) or "none"
