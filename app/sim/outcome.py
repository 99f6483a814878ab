"""What a simulated run showed: decisions, the delay from every fault to what was done about it, and the saving that was
claimed beside the true one, which only a simulator knows. Frozen; a function of the scenario.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from app.adapters.readmodel.told import STATUSES
from app.core import outputs
from app.core.cycle import state_of
from app.core.events import epoch_s, rfc3339
from app.core.outputs import Output
from app.sim.faults import Fault, GatewayOutage
from app.sim.service_run import Bill, ServiceRun
from app.sim.simulation import Simulation
from app.sim.watch import Proof

ANSWERS = frozenset(("roll-back", "fail-over", "open-trial", "promote", "admit", "move-weights", "reset"))
"""What counts as an answer to a fault when it is about the arm at fault."""
DECISIONS = frozenset((outputs.DECIDED, outputs.PROPOSED, outputs.REFUSED))


class Decided(msgspec.Struct, frozen=True):
    """A decision or finding, ``minute`` of event time after the start at which it was known."""

    minute: float
    time: str
    status: str
    action: str
    trigger: str
    strategy: str
    arm: str
    instead_of: str
    why: str


class Delay(msgspec.Struct, frozen=True, kw_only=True):
    """From a fault to its answers, in event minutes. ``noticed``: the first finding; ``answered``: the first decision
    about the arm at fault; ``settled``: another arm serves, or its trial is over. None: it did not happen.
    """

    fault: str
    arm: str
    began_min: float
    noticed_min: float | None = None
    answered_min: float | None = None
    answer: str = ""
    settled_min: float | None = None
    settled_on: str = ""


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """USD a request against the holdout, as last claimed with its interval, and as it ``true``ly was until then outside
    the holdout. ``spent_usd`` and ``baseline_usd`` (had the default arm answered all of it) are of the whole run.
    """

    claimed: float | None = None
    low: float | None = None
    high: float | None = None
    proven: bool = False
    why_not: str = ""
    true: float | None = None
    spent_usd: float = 0.0
    baseline_usd: float = 0.0


class ServiceOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """One service at the end. ``arms``: requests by arm."""

    service: str
    incumbent: str
    state: str
    requests: int
    arms: dict[str, int]
    decisions: tuple[Decided, ...]
    findings: tuple[Decided, ...]
    delays: tuple[Delay, ...]
    saved: Saved


class SimulationOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """The whole run."""

    scenario: str
    seed: int
    hours: float
    requests: int
    services: tuple[ServiceOutcome, ...]


def outcome_of(simulation: Simulation) -> SimulationOutcome:
    """What a finished run showed."""
    scenario = simulation.scenario
    return SimulationOutcome(
        scenario=scenario.name,
        seed=scenario.seed,
        hours=scenario.hours,
        requests=simulation.loop.requests,
        services=tuple(_service(simulation, run) for run in simulation.loop.runs),
    )


def _service(simulation: Simulation, run: ServiceRun) -> ServiceOutcome:
    name, start_s = run.service.name, simulation.loop.start_s
    ours = [(at_s, output) for at_s, output in simulation.said if output.service == name]
    row = simulation.brain.row(name)
    decisions = tuple(_decided(at_s, o, start_s) for at_s, o in ours if o.type in DECISIONS)
    findings = tuple(_finding(at_s, o, start_s) for at_s, o in ours if o.type == outputs.FINDING)
    return ServiceOutcome(
        service=name,
        incumbent=row.incumbent if row is not None else "",
        state=state_of(row) if row is not None else "idle",
        requests=sum(run.asked.values()),
        arms=dict(sorted(run.asked.items())),
        decisions=decisions,
        findings=findings,
        delays=tuple(
            _delay(fault, began_s, start_s, decisions, findings)
            for fault in run.service.faults
            if not isinstance(fault, GatewayOutage) and (began_s := run.conditions.begun_s(fault)) is not None
            if began_s < simulation.loop.end_s
        ),
        saved=_saved(run, simulation.bills[name], [o for _, o in ours if o.type == outputs.SAVINGS]),
    )


def _decided(at_s: int, output: Output, start_s: int) -> Decided:
    data: dict[str, Any] = msgspec.json.decode(output.data)
    evidence = data.get("evidence", {})
    return Decided(
        minute=(at_s - start_s) / 60,
        time=rfc3339(at_s),
        status=STATUSES[output.type],
        action=data.get("action", ""),
        trigger=data.get("trigger", ""),
        strategy=data.get("strategy", ""),
        arm=str(evidence.get("challenger", "")),
        instead_of=str(evidence.get("incumbent", "")),
        why=data.get("rationale", ""),
    )


def _finding(at_s: int, output: Output, start_s: int) -> Decided:
    data: dict[str, Any] = msgspec.json.decode(output.data)
    return Decided(
        minute=(at_s - start_s) / 60,
        time=rfc3339(at_s),
        status=str(data.get("status", "")),
        action=str(data.get("kind", "")),
        trigger="",
        strategy=str(data.get("severity", "")),
        arm=str(data.get("arm", "")),
        instead_of="",
        why=str(data.get("detail", "")),
    )


def _delay(
    fault: Fault, began_s: float, start_s: int, decisions: Iterable[Decided], findings: Iterable[Decided]
) -> Delay:
    arm = "" if isinstance(fault, GatewayOutage) else fault.arm
    began = (began_s - start_s) / 60
    later = [d for d in decisions if d.minute >= began and d.status == "decided" and d.action in ANSWERS]
    about = [d for d in later if arm in (d.arm, d.instead_of)]
    seen = next((f for f in findings if f.minute >= began and f.status == "open" and f.arm in (arm, "*")), None)
    first = next(iter(about), None)
    end = next((d for d in about if _ends(d, arm)), None)
    return Delay(
        fault=str(fault.__struct_config__.tag),
        arm=arm,
        began_min=round(began, 2),
        noticed_min=None if seen is None else round(seen.minute - began, 2),
        answered_min=None if first is None else round(first.minute - began, 2),
        answer="" if first is None else first.action,
        settled_min=None if end is None else round(end.minute - began, 2),
        settled_on="" if end is None else (end.instead_of if end.arm == arm else end.arm),
    )


def _ends(decision: Decided, arm: str) -> bool:
    """Whether a decision takes the arm at fault out of the traffic it had."""
    if decision.action in ("roll-back", "fail-over"):
        return decision.arm == arm
    return decision.action in ("promote", "admit") and decision.instead_of == arm


def _true(bill: Bill) -> float | None:
    return (bill.baseline_usd - bill.spent_usd) / bill.requests if bill.requests else None


def _saved(run: ServiceRun, bills: dict[int, Bill], said: list[Output]) -> Saved:
    bill = run.bill
    if not said:
        return Saved(
            true=_true(bill), spent_usd=bill.spent_usd, baseline_usd=bill.baseline_usd, why_not="nothing claimed yet"
        )
    proof = msgspec.json.decode(said[-1].data, type=Proof)
    return Saved(
        claimed=proof.saving,
        low=proof.low,
        high=proof.high,
        proven=proof.proven,
        why_not=proof.why_not,
        true=_true(bills.get(epoch_s(proof.until), bill)),
        spent_usd=bill.spent_usd,
        baseline_usd=bill.baseline_usd,
    )
