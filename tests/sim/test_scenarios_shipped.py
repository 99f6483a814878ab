"""The three scenarios of the requirements, as shipped: what is wrong, what is done about it, and how soon."""

from pathlib import Path

import msgspec
import pytest

from app.core.assign import expected_shares
from app.core.split import decode
from app.sim.outcome import Delay, ServiceOutcome, outcome_of
from app.sim.scenario import load
from app.sim.simulation import Simulation

pytestmark = pytest.mark.simulation

FOLDER = Path(__file__).parents[2] / "examples" / "scenarios"


def simulated(name: str, **changed: float) -> Simulation:
    simulation = Simulation(msgspec.structs.replace(load(FOLDER / f"{name}.toml"), **changed), FOLDER)
    simulation.run()
    return simulation


def played(name: str, **changed: float) -> tuple[ServiceOutcome, Delay]:
    (service,) = outcome_of(simulated(name, **changed)).services
    (delay,) = service.delays
    return service, delay


def test_a_latency_spike_is_answered_by_the_faster_model_within_four_minutes():
    service, delay = played("latency-spike", hours=1.15)
    assert (delay.answer, delay.settled_on, service.incumbent) == ("fail-over", "fast", "fast")
    assert delay.noticed_min is not None and delay.noticed_min <= 4
    assert delay.settled_min is not None and delay.settled_min <= 4
    assert [d.trigger for d in service.decisions if d.action == "fail-over"] == ["threshold"]


def test_a_cost_overrun_begins_a_trial_of_the_cheaper_model_at_once_which_takes_over_within_the_hour():
    service, delay = played("cost-overrun", hours=1.6)
    assert (delay.answer, delay.settled_on, service.incumbent) == ("open-trial", "small", "small")
    assert delay.answered_min is not None and delay.answered_min <= 4
    assert delay.settled_min is not None and delay.settled_min <= 60
    assert service.saved.true is not None and service.saved.true > 0


def test_a_quality_drop_on_trial_is_rolled_back_within_half_an_hour():
    service, delay = played("quality-drop", hours=1.2)
    assert (delay.answer, delay.settled_on, service.incumbent) == ("roll-back", "large", "large")
    assert delay.answered_min is not None and delay.answered_min <= 30


def test_in_shadow_the_bad_arm_never_serves_and_the_good_one_takes_over():
    simulation = simulated("shadow", hours=1.05)
    (service,) = outcome_of(simulation).services
    told = [(d.action, d.arm) for d in service.decisions if d.status == "decided" and d.arm]
    assert told[:3] == [("open-trial", "tiny"), ("roll-back", "tiny"), ("open-trial", "small")]
    assert told[-1] == ("promote", "small")
    splits = [decode(output.data) for _, output in simulation.said if output.role == "splits"]
    assert {arm for split in splits for _, arm in expected_shares(split)} == {"large", "small"}
    rows = [msgspec.json.decode(output.data) for _, output in simulation.said if output.role == "aggregates"]
    assert {row["slice"] for row in rows if row["arm"] == "tiny"} == {"shadow"}
