import pytest

from app.sim.faults import GatewayOutage, QualityDrop
from app.sim.scenario import ScenarioError, load

GOOD = """
name = "small"
hours = 1.0

[[services]]
name = "chat"
trace = "conv"
requests_per_min = 60
faults = [
  { kind = "quality-drop", arm = "a", after_min = 5, points = 0.1 },
  { kind = "gateway-outage", after_min = 20, lasts_min = 5 },
]

[[services.arms]]
name = "a"
model = "a-1"
price = { input_usd_per_mtok = 1, output_usd_per_mtok = 2 }
latency = { base_ms = 100 }
quality = { mean = 0.9 }
"""


def write(tmp_path, text):
    path = tmp_path / "scenario.toml"
    path.write_text(text)
    return path


def test_a_scenario_is_read_with_its_faults(tmp_path):
    scenario = load(write(tmp_path, GOOD))
    (service,) = scenario.services
    assert [type(fault) for fault in service.faults] == [QualityDrop, GatewayOutage]
    assert service.arms[0].price.output_usd_per_mtok == 2


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('arm = "a"', 'arm = "z"', "speaks of z, but its arms are a"),
        ("hours = 1.0", "hours = 1.0\nspeed = 3", "unknown field `speed`"),
        ("mean = 0.9", "mean = 1.9", "mean"),
        ('trace = "conv"', 'trace = "chat"', "trace"),
        ('kind = "quality-drop"', 'kind = "quality-loss"', "quality-loss"),
        ("hours = 1.0", "hours = ", "Invalid value"),
    ],
)
def test_a_mistake_is_an_error_that_names_its_place(tmp_path, old, new, says):
    path = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(ScenarioError, match=says) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_a_scenario_error(tmp_path):
    with pytest.raises(ScenarioError, match=r"absent\.toml"):
        load(tmp_path / "absent.toml")
