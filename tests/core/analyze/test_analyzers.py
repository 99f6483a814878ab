"""Every analyzer on drawn panes: silent before, one finding for one fault, and its end."""

from collections.abc import Callable

import msgspec
import pytest

from app.core.analyze.analyze import Whole
from app.core.analyze.finding import rank
from app.core.cell import Waste
from app.core.document import Arm, Budget, Segments, ServiceDocument, Slo, Thresholds, completed
from tests.core.analyze.panes import Behaviour, Service, document

Change = Callable[[Service], None]


def one_finding(service: Service, change: Change, *, before: int = 60, lasts: int = 40, after: int = 60) -> list[str]:
    """What is told of one fault; nothing may be told before it."""
    usual = {key: Behaviour(**vars(b)) for key, b in service.arms.items()}
    service.run(before)
    assert service.told() == []
    change(service)
    service.run(lasts)
    service.arms = usual
    service.run(after)
    assert len({f["finding_id"] for f in service.findings()}) == 1
    return service.told()


def test_slower_answers_are_one_finding_with_a_beginning_and_an_end() -> None:
    service = Service()
    told = one_finding(service, lambda s: setattr(s.a, "latency", 1300.0))
    assert told[0] == "open latency-rise" and told[-1] == "resolved latency-rise"
    first, last = service.findings()[0], service.findings()[-1]
    assert first["minute"] - 28_333_320 <= 62 and 9 <= last["minute"] - 28_333_420 <= 15
    assert (first["analyzer"], first["arm"], last["severity"]) == ("performance", "a", "high")
    assert first["detail"].startswith("Latency of a rose to 1,") and "usual is 9" in first["detail"]
    assert first["first_seen"] == last["first_seen"] < last["last_seen"]


def test_failing_answers_are_critical_when_they_are_many() -> None:
    service = Service()
    assert one_finding(service, lambda s: setattr(s.a, "errors", 0.25))[0] == "open error-burst"
    assert service.findings()[0]["severity"] == "critical"


def test_a_severity_rises_once_and_never_falls() -> None:
    service = Service().run(60)
    for errors in (0.04, 0.12, 0.06, 0.3, 0.1):
        service.a.errors = errors
        service.run(12)
    severities = [f["severity"] for f in service.findings()]
    assert severities == sorted(set(severities), key=rank)
    assert severities[-1] == "critical" and {f["status"] for f in service.findings()} == {"open"}


def test_lower_scores_are_a_finding_of_quality() -> None:
    service = Service({("a", "*"): Behaviour(scored=40)})
    told = one_finding(service, lambda s: setattr(s.a, "quality", 0.65))
    assert told[0] == "open quality-drop" and told[-1] == "resolved quality-drop"
    assert service.findings()[0]["metric"] == "quality_judge"
    assert service.findings()[0]["value"] < service.findings()[0]["compared_with"]


def test_scores_that_scatter_little_are_found_sooner() -> None:
    found = {}
    for sd in (0.0, 0.1):
        service = Service({("a", "*"): Behaviour(scored=20, sd=sd)}).run(80)
        service.a.quality = 0.75
        service.run(60)
        found[sd] = service.findings()[0]["minute"] if service.outputs else 1 << 60
    assert found[0.1] < found[0.0]


def test_better_answers_are_no_finding() -> None:
    service = Service({("a", "*"): Behaviour(scored=40, errors=0.05)}).run(60)
    service.a.latency, service.a.errors, service.a.quality, service.a.price = 500.0, 0.0, 0.95, 1e-5
    service.run(40)
    assert [t for t in service.told() if "anomaly" not in t] == []


def test_another_price_shows_in_the_first_pane() -> None:
    service = Service()
    told = one_finding(service, lambda s: setattr(s.a, "price", 1.2e-5))
    assert told == ["open price-change", "resolved price-change"]
    first = service.findings()[0]
    assert first["minute"] == 28_333_380 and first["value"] == pytest.approx(1.2, abs=1e-3)


def test_longer_answers_are_no_change_of_price() -> None:
    service = Service()
    told = one_finding(service, lambda s: setattr(s.a, "output", 500))
    assert "price-change" not in " ".join(told)
    series = " ".join(service.findings()[-1]["evidence"]["series"])
    assert "tokens|output_tokens" in series and "cost|request" in series and "price" not in series


def test_another_model_is_a_finding_at_once() -> None:
    service = Service()
    told = one_finding(service, lambda s: setattr(s.a, "models", ("large-2024",)))
    assert told == ["open model-change", "resolved model-change"]
    first = service.findings()[0]
    assert (first["minute"], first["severity"]) == (28_333_380, "high")
    assert first["detail"] == "a is answered by large-2024; known are large-2025."


def test_what_another_model_changes_is_the_same_incident() -> None:
    service = Service({("a", "*"): Behaviour(scored=40)})

    def swap(s: Service) -> None:
        s.a.models, s.a.quality, s.a.latency = ("tiny",), 0.5, 600.0

    told = one_finding(service, swap)
    assert told[:2] == ["open model-change", "open quality-drop"]


def test_a_new_model_that_stays_is_known_after_a_day() -> None:
    service = Service({("a", "*"): Behaviour(n=30)}).run(30)
    service.a.models = ("large-2026",)
    service.run(50, every=30)
    assert service.told() == ["open model-change", "resolved model-change"]
    assert "taken as known" in str(service.findings()[-1]["detail"])


@pytest.mark.parametrize(
    ("thresholds", "change", "kind"),
    [
        (Thresholds(error_rate=0.05), {"errors": 0.2}, "error"),
        (Thresholds(latency_ms_p95=3000.0), {"latency": 2500.0}, "latency"),
        (Thresholds(cost_usd_per_request=0.03), {"price": 5e-5}, "cost"),
        (Thresholds(quality_min=0.7), {"quality": 0.5}, "quality"),
        (Thresholds(ttft_ms=400.0), {"ttft": 700.0}, "ttft"),
    ],
)
def test_fixed_limits_are_findings_of_their_own(thresholds: Thresholds, change: dict[str, float], kind: str) -> None:
    """From the first pane on: nothing has to be learned."""
    service = Service({("a", "*"): Behaviour(scored=40, ttft=300.0)}, document(thresholds=thresholds)).run(3)
    assert service.told() == []
    for name, value in change.items():
        setattr(service.a, name, value)
    service.run(9)
    kinds = {f["kind"] for f in service.findings()}
    assert any(str(k).startswith(kind) and ("limit" in str(k) or "burn" in str(k)) for k in kinds), kinds


def test_inside_the_limits_nothing_is_told() -> None:
    limits = Thresholds(
        error_rate=0.05, latency_ms_p95=3000.0, latency_ms_p99=4000.0, cost_usd_per_request=0.03, quality_min=0.7
    )
    service = Service({("a", "*"): Behaviour(scored=40)}, document(thresholds=limits))
    assert service.run(200).told() == []


def test_an_error_budget_that_burns_in_both_windows_is_critical() -> None:
    service = Service(document=document(slo=Slo(availability=0.99))).run(60)
    service.a.errors = 0.5
    service.run(30)
    assert any("burn" in key for incident in service.analysis.incidents.open for key in incident.seen)
    assert service.findings()[-1]["severity"] == "critical"


def test_a_blip_burns_no_budget() -> None:
    service = Service(document=document(slo=Slo(availability=0.98))).run(60)
    service.a.errors = 0.12
    service.run(3)
    service.a.errors = 0.01
    service.run(2)
    assert not any("burn" in key for incident in service.analysis.incidents.open for key in incident.seen)


def test_a_budget_is_told_by_forecast_then_when_it_is_gone_and_forgotten_the_next_day() -> None:
    budget = Budget(day_usd=600.0)  # 24 USD a quarter would be 2304 a day
    service = Service({("a", "*"): Behaviour(n=10, price=1.5e-3)}, document(budget=budget))
    service.minute = 28_333_440 + 14  # midnight UTC, and every pane ends a quarter
    service.run(107, every=15)
    assert service.told() == [
        "open budget-day-forecast",
        "open budget-day-spent",
        "resolved budget-day-spent",
        "open budget-day-forecast",
    ]
    gone = service.findings()[1]
    assert (gone["severity"], gone["analyzer"]) == ("high", "cost") and gone["value"] == pytest.approx(600, rel=0.05)


def test_late_answers_cost_too() -> None:
    service = Service({("a", "*"): Behaviour(late_usd=5.0)}, document(budget=Budget(day_usd=100.0))).run(20)
    assert "open budget-day-spent" in service.told()


def test_waste_is_told_once_an_hour() -> None:
    service = Service(
        {("a", "*"): Behaviour(waste=Waste(retries=10, retries_usd=0.1, limited=50, limits=50_000, written=1_000))}
    )
    service.run(120)
    assert sorted(service.told()) == ["open waste-limits", "open waste-retries"]
    assert any("10%" in f["detail"] for f in service.findings())
    service.a.waste = None
    service.run(60)
    assert any(t.startswith("resolved waste") for t in service.told())
    assert all((int(f["minute"]) + 1) % 60 == 0 for f in service.findings())


def test_first_tokens_that_come_late_are_found() -> None:
    service = Service({("a", "*"): Behaviour(ttft=300.0)})
    assert one_finding(service, lambda s: setattr(s.a, "ttft", 600.0))[0] == "open ttft-rise"


def test_a_burst_of_traffic_is_an_anomaly_and_no_more_than_a_warning() -> None:
    service = Service().run(200)
    service.a.n = 1000
    service.run(3)
    traffic = [f for f in service.findings() if f["analyzer"] == "anomaly"]
    assert traffic and traffic[0]["kind"] == "traffic-anomaly" and traffic[0]["severity"] in ("info", "warning")


def test_silence_is_found_without_a_pane_and_ends_with_the_next() -> None:
    service = Service().run(60).wait(30)
    assert service.told() == ["open silence"]
    assert service.wait(200).told() == ["open silence"]
    assert service.analysis.deadline_s is None  # told once; nothing is due before the next pane
    service.run(1)
    assert service.told() == ["open silence", "resolved silence"]


def test_an_arm_that_loses_its_traffic_has_no_open_finding_after_an_hour() -> None:
    service = Service({("a", "*"): Behaviour(), ("b", "*"): Behaviour()}).run(60)
    service.arms["b", "*"].errors = 0.3
    service.run(10)
    service.arms["b", "*"].n = 0
    service.run(62)
    assert service.told()[-1] == "resolved error-burst"
    assert "no traffic" in str(service.findings()[-1]["detail"])


def test_without_any_traffic_findings_end_by_a_deadline() -> None:
    service = Service({("a", "*"): Behaviour(n=40)}).run(50)
    service.a.errors = 0.9
    service.run(5)
    service.analysis = msgspec.structs.replace(service.analysis, whole=Whole())  # no silence in between
    assert service.told()
    service.wait(70)
    assert service.told()[-1].startswith("resolved") and service.analysis.deadline_s is None


def test_incomplete_panes_are_no_evidence_but_show_models() -> None:
    service = Service().run(60)
    service.complete, service.a.errors, service.a.models = False, 0.6, ("tiny",)
    service.run(20)
    assert service.told() == ["open model-change"]


def test_a_changed_arm_starts_anew() -> None:
    service = Service().run(60)
    service.a.latency = 2000.0
    service.run(5)
    assert service.told()[0].startswith("open")
    arms = (Arm(name="a", parameters={"max_tokens": 4000}), Arm(name="b"))
    service.document = completed(ServiceDocument(service="chat", arms=arms))
    service.run(60)
    assert service.told()[-1].startswith("resolved") and "document" in str(service.findings()[-1]["detail"])


def test_segments_are_judged_on_their_own() -> None:
    segments = Segments(by="tenant", values=("gold", "free"))
    arms = {("a", segment): Behaviour() for segment in ("gold", "free")}
    service = Service(arms, document(segments=segments)).run(60)
    service.arms["a", "gold"].latency = 1500.0
    service.run(30)
    found = [f for f in service.findings() if f["kind"] == "latency-rise"]
    assert {f["segment"] for f in found} == {"gold"}


def test_two_arms_are_two_incidents() -> None:
    service = Service({("a", "*"): Behaviour(), ("b", "*"): Behaviour()}).run(60)
    for behaviour in service.arms.values():
        behaviour.errors = 0.2
    service.run(10)
    assert {f["arm"] for f in service.findings()} == {"a", "b"}
    assert len({f["finding_id"] for f in service.findings()}) == 2


def test_a_higher_budget_of_false_alarms_finds_sooner() -> None:
    minutes = []
    for alarms in (0.001, 1000.0):
        service = Service(document=document(thresholds=Thresholds(false_alarms_per_week=alarms)), seed=3).run(60)
        service.a.latency = 990.0
        service.run(60)
        minutes.append(min((int(str(f["minute"])) for f in service.findings()), default=1 << 60))
    assert minutes[1] < minutes[0]


def test_the_same_panes_give_the_same_bytes() -> None:
    def run() -> list[bytes]:
        service = Service(seed=5).run(60)
        service.a.errors = 0.3
        return [output.data for _, output in service.run(30).outputs]

    assert run() == run() != []


def test_what_is_kept_goes_on_as_if_it_had_never_been_away() -> None:
    through, kept = Service(seed=7), Service(seed=7)
    for service in (through, kept):
        service.run(70)
    kept.analysis = msgspec.msgpack.decode(msgspec.msgpack.encode(kept.analysis), type=type(kept.analysis))
    for service in (through, kept):
        service.a.latency = 1500.0
        service.run(60)
    assert [o.data for _, o in through.outputs] == [o.data for _, o in kept.outputs] != []
    assert msgspec.msgpack.encode(through.analysis) == msgspec.msgpack.encode(kept.analysis)


def test_channels_of_scores_are_watched_apart() -> None:
    service = Service({("a", "*"): Behaviour(scored=40, liked=40)})
    one_finding(service, lambda s: setattr(s.a, "like", 0.5))
    assert {f["metric"] for f in service.findings()} == {"quality_user"}


@pytest.mark.parametrize(
    ("waste", "kind"),
    [
        (Waste(invalid=20, invalid_usd=0.2), "waste-invalid"),
        (Waste(hashed=100, repeats=40, repeats_usd=0.4), "waste-repeats"),
    ],
)
def test_each_kind_of_waste_is_a_finding_of_its_own(waste: Waste, kind: str) -> None:
    service = Service({("a", "*"): Behaviour(waste=waste)}).run(60)
    assert service.told() == [f"open {kind}"]
    assert service.findings()[0]["evidence"]["wasted_usd"] > 0


def test_a_fault_is_found_soon_although_a_small_change_went_before_it() -> None:
    service = Service().run(60)
    service.a.latency = 975.0  # 8 %: certain, but not worth a word
    assert service.run(240).told() == []
    service.a.latency = 1500.0
    service.run(4)
    assert [t for t in service.told() if t.startswith("open latency")]


def test_failures_are_no_slower_output() -> None:
    service = Service().run(60)
    service.a.errors = 0.35
    service.run(40)
    assert {f["kind"] for f in service.findings()} <= {"error-burst", "errors-anomaly"}
