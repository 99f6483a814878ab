"""One simulated service in the closed loop: each request is routed by the gateway's current split, answered by its
arm, reported as telemetry and perhaps scored by a judge. Mutable: it walks through time and keeps the ledger.
"""

import math
from collections.abc import Iterator
from typing import Protocol

import msgspec

from app.core.events import Receipt, SegmentParts, SliceName
from app.core.ids import request_id
from app.core.levers.made_arm import MARK
from app.sim import telemetry
from app.sim.arms import Answer, ArmModel, Effect, answer, changed, cost_usd, succeeds
from app.sim.draws import uniforms
from app.sim.faults import Conditions
from app.sim.ledger import Ledger, Sums
from app.sim.outbox import Message, Outbox
from app.sim.scenario import Noise, ScenarioError, SimulatedService
from app.sim.traffic import Request, requests


class Routed(msgspec.Struct, frozen=True, gc=False):
    """Where the gateway sent a request. ``score_rate`` None: the split says nothing about scoring. ``mirror``: the arm
    that gets a copy, whose answer nobody is served.
    """

    arm: str
    slice: SliceName = "main"
    version: int = 0
    session_group: int | None = None
    score_rate: float | None = None
    mirror: str = ""


class Bill(msgspec.Struct):
    """The truth about savings, outside the holdout: what was spent, and what the same requests would have cost had the
    default arm answered every one of them with the same luck. Mutable: counted up.
    """

    requests: int = 0
    spent_usd: float = 0.0
    baseline_usd: float = 0.0


class Router(Protocol):
    """The gateway, asked before every single request."""

    def route(self, service: str, unique: str, session_id: str, segment: SegmentParts) -> Routed | None:
        """The choice of the split in force; None when the gateway has no split of ``service``."""


class ServiceRun:
    """Walks one service through event time."""

    def __init__(self, service: SimulatedService, *, seed: int, start_s: float, noise: Noise, ledger: Ledger) -> None:
        self.service = service
        self.conditions = Conditions(service.arms, service.faults, start_s)
        self.asked: dict[str, int] = {}
        self.bill = Bill()
        self.default_arm = service.default_arm or service.arms[0].name
        self._seed = seed
        self._noise = noise
        self._ledger = ledger
        self._names = frozenset(arm.name for arm in service.arms)
        self._requests: Iterator[Request] = requests(service, seed=seed, start_s=start_s)
        self._next = next(self._requests)

    def advance(self, until_s: float, router: Router, outbox: Outbox) -> int:
        """Answer every request that arrives before ``until_s``; returns how many there were."""
        count = 0
        while self._next.time_s < until_s:
            self._serve(self._next, router, outbox)
            self._next = next(self._requests)
            count += 1
        return count

    def _serve(self, request: Request, router: Router, outbox: Outbox) -> None:
        segment = SegmentParts(task_type=request.task)
        routed = router.route(self.service.name, request.unique, request.session_id, segment)
        if routed is None:
            routed = Routed(self.default_arm)
        arm = self._arm(routed.arm, request.time_s)
        got = self._answer(arm, request)
        if routed.slice != "holdout":
            self._account(request, arm, got)
        receipt = Receipt(self.service.name, arm.name, segment, routed.slice, routed.version, routed.session_group)
        self._report(request, receipt, arm, got, outbox)
        self._judge(request, receipt, routed, got, outbox)
        if routed.mirror:
            self._mirror(request, msgspec.structs.replace(receipt, arm=routed.mirror, slice="shadow"), routed, outbox)

    def _mirror(self, request: Request, receipt: Receipt, routed: Routed, outbox: Outbox) -> None:
        """A copy of the request: answered, told and judged as an event of its own, and served to nobody."""
        arm = self._arm(receipt.arm, request.time_s)
        got = self._answer(arm, request)
        copy = msgspec.structs.replace(request, unique=f"{request.unique}-shadow")
        self._report(copy, receipt, arm, got, outbox)
        self._judge(copy, receipt, routed, got, outbox)

    def _answer(self, arm: ArmModel, request: Request) -> Answer:
        return answer(
            arm,
            seed=self._seed,
            request=request.unique,
            task=request.task,
            input_tokens=round(request.input_tokens * arm.input_factor),
            output_tokens=request.output_tokens,
        )

    def _account(self, request: Request, arm: ArmModel, got: Answer) -> None:
        self.bill.requests += 1
        self.bill.spent_usd += got.cost_usd
        baseline = self.conditions.arm(self.default_arm, request.time_s)
        if baseline is arm:
            self.bill.baseline_usd += got.cost_usd
            return
        ok = succeeds(baseline, seed=self._seed, request=request.unique)
        self.bill.baseline_usd += cost_usd(baseline.price, request.input_tokens, request.output_tokens if ok else 0)

    def _arm(self, name: str, now_s: float) -> ArmModel:
        root, mark, idea = name.partition(MARK)
        if mark and name not in self._names and root in self._names:
            effect = self.service.effects.get(idea.rpartition("-")[0], Effect())
            return changed(self._arm(root, now_s), effect, name)
        if name not in self._names:
            raise ScenarioError(
                f"the gateway sends {self.service.name!r} to arm {name!r}, which the scenario does not describe: "
                f"add it to [[services.arms]] (there are {', '.join(sorted(self._names))})"
            )
        self.asked[name] = self.asked.get(name, 0) + 1
        return self.conditions.arm(name, now_s)

    def _report(self, request: Request, receipt: Receipt, arm: ArmModel, got: Answer, outbox: Outbox) -> None:
        done_s = request.time_s + got.latency_ms / 1000
        disorder, duplicate, broken = uniforms(3, self._seed, request.unique, "pipeline")
        value = telemetry.response_event(request.unique, done_s, _body(request, receipt, arm, got))
        copies = 2 if duplicate < self._noise.duplicates else 1
        due_s = done_s + disorder * self._noise.disorder_s
        outbox.put(due_s, Message("responses", request.unique.encode(), value, copies))
        if broken < self._noise.broken:
            outbox.put(due_s, Message("responses", request.unique.encode(), value[: len(value) // 2]))
        if receipt.slice == "shadow":  # in no row of what was served
            return
        self._ledger.answered(
            self.service.name,
            arm.name,
            done_s,
            Sums(
                1, int(not got.ok), round(request.input_tokens * arm.input_factor), got.output_tokens, 0, got.cost_usd
            ),
        )

    def _judge(self, request: Request, receipt: Receipt, routed: Routed, got: Answer, outbox: Outbox) -> None:
        rate = self.service.score_rate if routed.score_rate is None else routed.score_rate
        chosen, delay = uniforms(2, self._seed, request.unique, "judge")
        if got.quality is None or chosen >= rate:
            return
        scored_s = request.time_s + got.latency_ms / 1000 - self.service.score_delay_s * math.log(delay)
        body = telemetry.ScoreBody(
            request_id=request_id(request.unique, receipt), quality=got.quality, score_probability=rate
        )
        value = telemetry.score_event(request.unique, scored_s, body)
        outbox.put(scored_s, Message("feedback", request.unique.encode(), value))
        if receipt.slice != "shadow":
            self._ledger.scored(self.service.name, receipt.arm, scored_s, got.quality)


def _body(request: Request, receipt: Receipt, arm: ArmModel, got: Answer) -> telemetry.ResponseBody:
    return telemetry.ResponseBody(
        request_id=request_id(request.unique, receipt),
        service=receipt.service,
        arm=arm.name,
        model=arm.model,
        slice=receipt.slice,
        version=receipt.version,
        latency_ms=got.latency_ms,
        status="ok" if got.ok else "error",
        input_tokens=round(request.input_tokens * arm.input_factor),
        output_tokens=got.output_tokens,
        cost_usd=got.cost_usd,
        ttft_ms=got.ttft_ms,
        provider=arm.provider,
        segment={"task_type": request.task} if request.task else {},
        session_id=request.session_id,
        session_group=receipt.session_group,
        response_model=arm.response_model or arm.model,
        fingerprint=arm.fingerprint,
        error_type="" if got.ok else "provider_error",
    )
