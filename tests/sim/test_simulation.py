"""A scenario against the whole optimizer, without Kafka: it repeats, it counts, and errors name their place."""

import msgspec
import pytest

from app.cli.main import run
from app.sim.outcome import outcome_of
from app.sim.scenario import ScenarioError, load
from app.sim.simulation import Simulation

WORLD = """
name = "world"
hours = 0.2
seed = 5

[[services]]
name = "chat"
trace = "conv"
requests_per_min = 30
score_rate = 0.5
document = { mode = "auto", arms = [{ name = "large" }, { name = "small" }] }
shape = [{ after_min = 6, factor = 3 }]
faults = [
  { kind = "latency-rise", arm = "large", after_min = 2, factor = 2 },
  { kind = "gateway-outage", after_min = 0, lasts_min = 5 },
]
ARM
"""
ARM = """
[[services.arms]]
name = "{name}"
model = "{name}"
price = {{ input_usd_per_mtok = {usd}, output_usd_per_mtok = {usd} }}
latency = {{ base_ms = 300 }}
quality = {{ mean = 0.9, sd = 0.1 }}
"""


def world(tmp_path, text=WORLD):
    path = tmp_path / "world.toml"
    path.write_text(text.replace("ARM", ARM.format(name="large", usd=10) + ARM.format(name="small", usd=1)))
    return path


def played(path):
    simulation = Simulation(load(path), path.parent)
    simulation.run()
    return simulation


def test_a_run_repeats_to_the_byte_and_its_traffic_has_the_shape_that_is_stated(tmp_path):
    one, again = played(world(tmp_path)), played(world(tmp_path))
    outcome = outcome_of(one)
    assert msgspec.json.encode(outcome) == msgspec.json.encode(outcome_of(again))
    (chat,) = outcome.services
    assert chat.decisions[0].action == "configure"
    assert [d.action for d in chat.decisions if d.minute < 5] == ["configure", "open-trial"]
    assert chat.arms["small"] < chat.arms["large"]
    assert chat.delays[0].began_min == 2
    bills = one.bills["chat"]
    before, whole = bills[one.loop.start_s + 360].requests, bills[one.loop.end_s].requests
    assert whole - before > 2 * before


def test_a_gateway_that_refuses_serves_the_split_it_has(tmp_path):
    simulation = Simulation(load(world(tmp_path)), tmp_path)
    versions: list[int] = []

    def told(_now_s: int) -> None:
        split = simulation.serving("chat")
        versions.append(split.version if split is not None else 0)

    simulation.run(told)
    assert versions[:6] == [1, 1, 1, 1, 1, 2]  # the trial was decided in the second minute


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('mode = "auto"', 'mode = "soon"', "mode"),
        ("after_min = 6, factor = 3 }", "after_min = 6, factor = 3 }, { after_min = 1, factor = 2 }", "must rise"),
        ("shape", "shapes", "shapes"),
    ],
)
def test_a_scenario_that_cannot_be_played_says_where(tmp_path, old, new, said):
    path = world(tmp_path, WORLD.replace(old, new))
    with pytest.raises(ScenarioError, match=said):
        played(path)


def test_the_command_prints_decisions_delays_and_savings(tmp_path, capsys):
    assert run(["simulate", str(world(tmp_path)), "--hours", "0.1"]) == 0
    printed = capsys.readouterr().out
    assert "chat: large serves" in printed
    assert "latency-rise of large at 00:02" in printed
    assert "saved:" in printed
    assert run(["simulate", str(world(tmp_path)), "--hours", "0.1", "--seed", "6", "--json"]) == 0
    assert msgspec.json.decode(capsys.readouterr().out)["seed"] == 6
