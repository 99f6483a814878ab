"""What must hold across the fields of a document; the bounds of single fields are in their types."""

import math
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from app.core.cell import OVERFLOW
from app.core.document.arms import EVERYWHERE
from app.core.document.errors import DocumentError, Path
from app.core.document.limits import Budget, GroupBudget, SegmentBudget
from app.core.document.service_document import ServiceDocument
from app.core.events import epoch_s
from app.core.policy.errors import ExpressionError
from app.core.policy.syntax import compared, parse

LAST_STEP_WITH_CONTROL = 90
MAX_DEPTH = 8
MAX_WHOLE = 2**53
_PLAIN = "text, true, false, finite numbers, lists and tables"


def check(document: ServiceDocument) -> None:
    """Raise ``DocumentError`` at the first broken rule. ``document`` is completed (no empty incumbent)."""
    for rule in _RULES:
        rule(document)


def _arms(document: ServiceDocument) -> None:
    if not document.arms:
        raise DocumentError("a service needs at least one arm", path=("arms",), allowed="[[arms]] tables with a name")
    _unique(document.arm_names, "arms", "name", "arm names")
    for i, arm in enumerate(document.arms):
        if arm.name == OVERFLOW:
            raise DocumentError(
                "this name is taken: it collects arms beyond the bound", path=("arms", i, "name"), value=arm.name
            )


def _free_tables(document: ServiceDocument) -> None:
    for i, arm in enumerate(document.arms):
        for table in ("parameters", "features"):
            _plain_value(getattr(arm, table), ("arms", i, table), depth=0)

    _plain_value(document.strategy.prompt.schema, ("strategy", "prompt", "schema"), depth=0)


def _strategy(document: ServiceDocument) -> None:
    plan = document.strategy
    if plan.backup and document.arm(plan.backup) is None:
        known = ", ".join(f'"{n}"' for n in document.arm_names)
        raise DocumentError("does not name an arm", path=("strategy", "backup"), value=plan.backup, allowed=known)
    if plan.name == "reinforcement_feedback" and document.policy != "mix":
        raise DocumentError(
            "weights per minute need arms that share the traffic", path=("strategy", "name"), value=plan.name,
            allowed='policy = "mix" beside it',
        )  # fmt: skip
    if plan.name == "a_b_testing" and len(document.arms) < 2 and not plan.prompt.text:
        raise DocumentError(
            "there is nothing to compare", path=("strategy", "name"), value=plan.name,
            allowed="a second [[arms]] table or a base prompt in [strategy.prompt] text",
        )  # fmt: skip
    if len(set(plan.prompt.variants)) < len(plan.prompt.variants):
        raise DocumentError(
            "a generator is named twice", path=("strategy", "prompt", "variants"), value=list(plan.prompt.variants)
        )


def _plain_value(value: Any, path: Path, *, depth: int) -> None:
    """Only what TOML and JSON both keep exactly: no null, no infinity, whole numbers up to 2^53, at most 8 levels."""
    if depth > MAX_DEPTH:
        raise DocumentError(f"nested deeper than {MAX_DEPTH} levels", path=path)
    if isinstance(value, dict):
        for key, item in value.items():
            _plain_value(item, (*path, key), depth=depth + 1)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            _plain_value(item, (*path, i), depth=depth + 1)
    elif value is None or (isinstance(value, float) and not math.isfinite(value)):
        raise DocumentError("not a value JSON and TOML share", path=path, value=str(value), allowed=_PLAIN)
    elif isinstance(value, int) and abs(value) > MAX_WHOLE:
        raise DocumentError("too large to be exact in JSON", path=path, value=value, allowed="-2^53 to 2^53")


def _roles(document: ServiceDocument) -> None:
    names = document.arm_names
    for role in ("incumbent", "baseline"):
        name = getattr(document, role)
        if name not in names:
            known = ", ".join(f'"{n}"' for n in names)
            raise DocumentError("does not name an arm", path=(role,), value=name, allowed=known)


def _segments(document: ServiceDocument) -> None:
    by, values = document.segments.by, document.segments.values
    if values and not by:
        raise DocumentError(
            "declared segments need `by`", path=("segments", "values"), allowed='by = "tenant", "task_type" or "region"'
        )
    if by and not values:
        raise DocumentError(
            "no segment is declared, so all traffic would be `other`",
            path=("segments",),
            allowed="1-8 `values`, or no `by`",
        )
    _unique(values, "segments", "values", "segments", flat=True)
    for i, value in enumerate(values):
        if value in ("", EVERYWHERE, OVERFLOW):
            raise DocumentError("this segment name is reserved", path=("segments", "values", i), value=value)


def _objective(document: ServiceDocument) -> None:
    weights = document.objective.weights
    if weights is not None and not math.isclose(
        total := weights.quality + weights.cost + weights.latency, 1, abs_tol=1e-6
    ):
        raise DocumentError(
            "quality, cost and latency must sum to 1", path=("objective", "weights"), value=round(total, 9), allowed="1"
        )


def _steps(document: ServiceDocument) -> None:
    steps = document.trial.steps
    path = ("trial", "steps")
    if any(b <= a for a, b in pairwise(steps)):
        raise DocumentError("steps must increase", path=path, value=steps)
    if steps[-1] != 100:
        raise DocumentError("the last step must be 100", path=path, value=steps)
    if any(step > LAST_STEP_WITH_CONTROL for step in steps[:-1]):
        raise DocumentError(
            "a step between 90 and 100 leaves no control slice to judge by",
            path=path,
            value=steps,
            allowed="1-90, then 100",
        )
    plan = document.trial
    if len(steps) < 2 and plan.mode != "immediate":
        raise DocumentError(
            "a trial needs a step below 100, which leaves a control slice to judge by", path=path, value=steps
        )
    if plan.mode in ("blue-green", "immediate") and plan.trial_minutes_max <= plan.bake_minutes:
        raise DocumentError(
            "the trial would end before its bake is over",
            path=("trial", "trial_minutes_max"),
            value=plan.trial_minutes_max,
            allowed=f"more than bake_minutes = {plan.bake_minutes}",
        )
    if document.trial.trial_minutes_max < document.trial.step_minutes_min * len(steps):
        raise DocumentError(
            "the trial would end before its steps can pass",
            path=("trial", "trial_minutes_max"),
            value=document.trial.trial_minutes_max,
            allowed=f"at least step_minutes_min x steps = {document.trial.step_minutes_min * len(steps)}",
        )


def _prices(document: ServiceDocument) -> None:
    seen: set[tuple[str, int]] = set()
    for i, price in enumerate(document.prices):
        path = ("prices", i, "valid_from")
        try:
            since_s = epoch_s(price.valid_from) if price.valid_from else 0
        except ValueError as error:
            raise DocumentError(str(error), path=path, allowed="2026-01-31T00:00:00Z") from None
        if since_s % 60:
            raise DocumentError("prices change on a whole minute", path=path, value=price.valid_from)
        if (price.model, since_s) in seen:
            raise DocumentError(
                f"a second price of {price.model!r} from the same moment", path=path, value=price.valid_from
            )
        seen.add((price.model, since_s))


def _budget(document: ServiceDocument) -> None:
    budget = document.budget
    try:
        ZoneInfo(budget.time_zone)
    except (KeyError, ValueError, OSError):
        raise DocumentError(
            "not a known time zone",
            path=("budget", "time_zone"),
            value=budget.time_zone,
            allowed='IANA names, "Europe/Berlin"',
        ) from None
    _day_in_month(budget, ("budget",))
    _day_in_month(budget.group, ("budget", "group"))
    if not budget.group.name and budget.group != GroupBudget():
        raise DocumentError("a group's budget needs the group's name", path=("budget", "group", "name"), value="")
    for i, part in enumerate(budget.segments):
        path = ("budget", "segments", i)
        if part.segment in {other.segment for other in budget.segments[:i]}:
            raise DocumentError("a segment has one budget", path=(*path, "segment"), value=part.segment)
        _segment_budget(document, part, path)


def _segment_budget(document: ServiceDocument, part: SegmentBudget, path: Path) -> None:
    names = document.segment_names if document.segments.by else ()
    if part.segment not in names:
        raise DocumentError(
            "not a segment of this service", path=(*path, "segment"), value=part.segment,
            allowed=", ".join(names) or "none: declare [segments] first",
        )  # fmt: skip
    if document.policy != "mix":
        raise DocumentError(
            "a segment's budget needs weights of its own", path=(*path, "segment"), value=part.segment,
            allowed='policy = "mix"',
        )  # fmt: skip
    _day_in_month(part, path)


def _day_in_month(budget: Budget | SegmentBudget | GroupBudget, path: Path) -> None:
    if budget.day_usd is not None and budget.month_usd is not None and budget.day_usd > budget.month_usd:
        raise DocumentError(
            "a day may not cost more than the month", path=(*path, "day_usd"), value=budget.day_usd,
            allowed=f"at most month_usd = {budget.month_usd:g}",
        )  # fmt: skip


def _policies(document: ServiceDocument) -> None:
    _unique([policy.id for policy in document.policies], "policies", "id", "policy ids")
    for i, policy in enumerate(document.policies):
        for j, rule in enumerate(policy.rules):
            _condition(document, rule.condition, ("policies", i, "rules", j, "condition"))


def _condition(document: ServiceDocument, condition: str, path: Path) -> None:
    try:
        found = parse(condition)
    except ExpressionError as error:
        raise DocumentError(str(error), path=path, value=condition) from None
    by, known = document.segments.by, document.segment_names
    for name, text in compared(found):
        if by and name in {f"user.{by}", f"segment.{by}"} and text not in known:
            raise DocumentError(
                f"{name} is compared with {text!r}, which is no declared segment", path=path, value=condition,
                allowed=", ".join(document.segments.values),
            )  # fmt: skip


def _residency(document: ServiceDocument) -> None:
    for segment, regions in document.limits.residency.items():
        path = ("limits", "residency", segment)
        if segment not in {EVERYWHERE, *document.segment_names}:
            known = ", ".join(f'"{name}"' for name in {EVERYWHERE: 0, **dict.fromkeys(document.segment_names)})
            raise DocumentError("does not name a segment", path=path, value=segment, allowed=known)
        if not regions:
            raise DocumentError("names no region", path=path, allowed='at least one, as in ["eu"]')


def _unique(names: Iterable[str], table: str, key: str, what: str, *, flat: bool = False) -> None:
    seen: set[str] = set()
    for i, name in enumerate(names):
        if name in seen:
            path = (table, key, i) if flat else (table, i, key)
            raise DocumentError(f"{what} must be unique", path=path, value=name)
        seen.add(name)


_RULES: tuple[Callable[[ServiceDocument], None], ...] = (
    _arms, _free_tables, _roles, _segments, _objective, _steps, _prices, _budget, _policies,
    _strategy, _residency,
)  # fmt: skip
