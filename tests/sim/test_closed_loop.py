import itertools
from collections import Counter

import msgspec
import pytest

from app.core.events import FEEDBACK_RECORDED, RESPONSE_COMPLETED, epoch_s
from app.core.ids import receipt_of
from app.sim.arms import ArmModel, LatencyLaw, Price, QualityLaw
from app.sim.closed_loop import ClosedLoop
from app.sim.faults import GatewayOutage
from app.sim.ledger import Key, Sums, compare
from app.sim.outbox import Message
from app.sim.scenario import Noise, Scenario, ScenarioError, SimulatedService
from app.sim.service_run import Routed

START_S = 1_700_000_040


def arm(name, usd):
    return ArmModel(
        name=name,
        model=f"{name}-1",
        price=Price(usd, usd),
        latency=LatencyLaw(base_ms=200, per_token_ms=5),
        quality=QualityLaw(mean=0.9, sd=0.1),
        error_rate=0.05,
    )


SERVICE = SimulatedService(
    name="chat",
    trace="conv",
    requests_per_min=90,
    arms=(arm("large", 10), arm("small", 1)),
    score_rate=0.2,
    faults=(GatewayOutage(after_min=3, lasts_min=2),),
)


class AlternatingGateway:
    """Sends every second request to each arm, half of them scored."""

    def __init__(self, *arms: str) -> None:
        self.turn = itertools.cycle(arms)

    def route(self, service, unique, session_id, segment):
        return Routed(next(self.turn), "trial", 7, 3, 0.5)


class NoGateway:
    def route(self, service, unique, session_id, segment):
        return None


class Received:
    def __init__(self) -> None:
        self.messages: list[Message] = []

    def send(self, message):
        self.messages.append(message)

    def flush(self):
        pass


def run(router, *, noise=None, minutes=6, service=SERVICE):
    sink = Received()
    followed: list[int] = []
    outages: list[bool] = []
    scenario = Scenario(name="t", services=(service,), hours=minutes / 60, seed=5, noise=noise or Noise())
    loop = ClosedLoop(
        scenario, start_s=START_S, router=router, sink=sink, follow=followed.append, outage=outages.append
    )
    ticks = list(loop.ticks())
    return loop, sink.messages, ticks, followed, outages


def events(messages, role):
    return [msgspec.json.decode(m.value) for m in messages if m.role == role]


def test_the_same_scenario_produces_the_same_bytes():
    assert run(AlternatingGateway("large", "small"))[1] == run(AlternatingGateway("large", "small"))[1]


def test_answers_carry_where_the_gateway_sent_them():
    _, messages, *_ = run(AlternatingGateway("large", "small"))
    body = events(messages, "responses")[0]
    assert body["type"] == RESPONSE_COMPLETED
    answer = body["data"]
    assert (answer["service"], answer["slice"], answer["version"], answer["session_group"]) == ("chat", "trial", 7, 3)
    receipt = receipt_of(answer["request_id"])
    assert receipt is not None
    assert (receipt.arm, receipt.version) == (answer["arm"], 7)


def test_without_a_split_the_first_arm_answers_in_the_main_slice():
    _, messages, *_ = run(NoGateway())
    assert {(e["data"]["arm"], e["data"]["slice"]) for e in events(messages, "responses")} == {("large", "main")}


def test_the_ledger_counts_every_answer_and_score_in_the_minute_of_its_own_time():
    loop, messages, *_ = run(AlternatingGateway("large", "small"))
    counted: dict[Key, Sums] = {}
    until_s = START_S + 5 * 60
    for event in events(messages, "responses"):
        data, minute = event["data"], epoch_s(event["time"]) // 60 * 60
        total = counted.setdefault(("chat", data["arm"], minute), Sums())
        total.requests += 1
        total.errors += data["status"] == "error"
        total.input_tokens += data["input_tokens"]
        total.output_tokens += data["output_tokens"]
        total.cost_usd += data["cost_usd"]
    for event in events(messages, "feedback"):
        receipt = receipt_of(event["data"]["request_id"])
        assert receipt is not None
        total = counted.setdefault(("chat", receipt.arm, epoch_s(event["time"]) // 60 * 60), Sums())
        total.scores += 1
        total.quality += event["data"]["quality"]
    verdict = compare(loop.ledger.sums, counted, until_s=until_s)
    assert verdict.wrong == ()
    assert verdict.exact
    assert verdict.produced > 300


def test_scores_follow_the_rate_of_the_split_and_arrive_after_the_answer():
    _, messages, *_ = run(AlternatingGateway("large", "small"), minutes=20)
    answers = {e["data"]["request_id"]: e["time"] for e in events(messages, "responses")}
    scores = events(messages, "feedback")
    assert {e["type"] for e in scores} == {FEEDBACK_RECORDED}
    assert {e["data"]["score_probability"] for e in scores} == {0.5}
    assert len(scores) / len(answers) == pytest.approx(0.5 * 0.95, abs=0.04)
    assert all(e["time"] > answers[e["data"]["request_id"]] for e in scores)


def test_duplicates_and_broken_events_are_sent_but_not_in_the_ledger():
    noise = Noise(duplicates=0.1, broken=0.05, disorder_s=10)
    clean_loop, clean, *_ = run(AlternatingGateway("large", "small"))
    loop, messages, *_ = run(AlternatingGateway("large", "small"), noise=noise)
    assert loop.ledger.sums == clean_loop.ledger.sums
    assert Counter(m.copies for m in messages)[2] > 10
    assert len(messages) > len(clean)


def test_disorder_moves_an_event_behind_others_by_less_than_its_bound():
    noise = Noise(disorder_s=10)
    _, messages, *_ = run(AlternatingGateway("large", "small"), noise=noise)
    times = [epoch_s(e["time"]) for e in events(messages, "responses")]
    lag = max(high - t for high, t in zip(itertools.accumulate(times, max), times, strict=True))
    assert 5 <= lag <= 10


def test_the_loop_waits_for_the_optimizer_after_every_minute_and_switches_the_outage():
    _, _, ticks, followed, outages = run(AlternatingGateway("large"))
    assert followed == [START_S + 60 * k for k in range(1, 7)] == [t.now_s for t in ticks]
    assert outages == [False, False, False, True, True, False]


def test_an_arm_the_scenario_does_not_describe_is_an_error():
    with pytest.raises(ScenarioError, match=r"'huge'.*does not describe"):
        run(AlternatingGateway("huge"))


def test_the_bill_compares_with_what_the_default_arm_would_have_cost_for_the_same_requests():
    loop, *_ = run(AlternatingGateway("large"))
    (all_large,) = loop.runs
    assert all_large.bill.spent_usd == pytest.approx(all_large.bill.baseline_usd)
    loop, *_ = run(AlternatingGateway("small"))
    (all_small,) = loop.runs
    assert all_small.bill.requests == all_large.bill.requests
    assert all_small.bill.baseline_usd == pytest.approx(all_large.bill.baseline_usd)
    assert all_small.bill.spent_usd / all_small.bill.baseline_usd == pytest.approx(0.1, rel=0.05)
