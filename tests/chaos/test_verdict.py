"""The chaos suite can fail: with a rule of the engines broken, its verdict says which promise does not hold."""

import pytest

from app.core import fold, merge
from tests.chaos.account import Rules, account, count_evidence
from tests.chaos.coverage import EVERY, FAULTS, TRAFFIC
from tests.chaos.pure import verdict_of
from tests.chaos.scenarios import SCENARIOS
from tests.chaos.verdict import Found
from tests.core.engine.test_rules import without
from tests.e2e.harness.topic import Message

SEEDS = range(2)


@pytest.mark.parametrize("seed", SEEDS)
def test_with_all_rules_crashes_and_zombies_are_exact(seed: int):
    verdict = verdict_of(seed, crashes=0.2)
    assert verdict.exact, verdict.lines()
    assert verdict.events > 250
    assert verdict.late > 5
    assert verdict.duplicates > 5
    assert verdict.letters > 0
    assert verdict.orders == 8
    assert verdict.repeated_orders > 0


BROKEN = {
    "commit early": (fold, "if pane.first < offset:", "if False:", {"lost"}),
    "count duplicates": (fold, "if seen in pane.ids:", "if False:", {"doubled"}),
    "late events are statistics": (fold, "late = number <= self._closed", "late = False", {"late"}),
    "fold again what is done": (fold, "if number > self._done:", "if True:", {"lost", "doubled", "late"}),
    "begin without clocks": (
        merge,
        "self._clocks = _decode_clocks(services[key])",
        "pass",
        {"conflicting", "lost", "doubled"},
    ),
    "a produced repeat is another command": (merge, "if order in kept.orders:", "if False:", {"commands"}),
    "forget what is refused": (fold, "self._dead.append(", "(lambda _: None)(", {"dead letters"}),
}


@pytest.mark.parametrize("rule", BROKEN)
def test_a_broken_rule_is_caught_and_named(rule: str):
    module, text, instead, kinds = BROKEN[rule]
    copy = without(module, text, instead)
    parts = {"fold": copy.Fold} if module is fold else {"merge": copy.Merge}
    for seed in range(12):
        verdict = verdict_of(seed, crashes=0.25, **parts)
        if {kind for kind, found in verdict.violations.items() if found} & kinds:
            return
    pytest.fail(f"{rule}: 12 seeds are exact")


def test_an_id_with_two_payloads_is_a_conflict_and_a_repeat_is_none():
    found = Found()
    for value in (b'{"window_s": 300}', b'{"window_s": 300}', b'{"window_s": 300 }'):
        found.take_aggregate(Message(0, 0, b"s", value, (("ce_id", b"one"),)))
    assert found.repeated == 2
    assert len(found.conflicts) == 1


def test_every_item_of_chaos_is_shown_by_a_scenario():
    shown = {item for scenario in SCENARIOS for item in scenario.covers} | set(EVERY)
    assert shown == TRAFFIC.keys() | FAULTS.keys()


def test_the_account_refuses_what_is_over_a_quota():
    total = account()
    values = [
        (
            n,
            b'{"id":"%d","source":"/p","time":"2025-11-09T10:00:00Z","data":{"service":"s","model":"m","latency_ms":1}}'
            % n,
        )
        for n in range(5)
    ]
    count_evidence(total, "t", [Message(0, n, None, value, (), 1 << 52) for n, value in values], Rules(10, 10, quota=3))
    assert (total.events, total.over_quota, sorted(total.refused)) == (3, 2, [("t", 0, 3), ("t", 0, 4)])
