import msgspec
import pytest

from app.adapters.codec.encode import encode_event, encode_output
from app.adapters.readmodel.model import Model
from app.adapters.readmodel.spending import spendings, traffic
from app.adapters.readmodel.sqlite import SqliteStore
from app.core.commands import COMMAND, Command, Configure, ShareBudget, to_json
from app.core.document import from_object
from app.core.events import rfc3339
from app.core.outputs import AGGREGATE, Output, OutputRole
from tests.adapters.readmodel.worlds import ABOUT, ROLES, seen

NOON_S = 1_700_049_600
"""2023-11-15T12:00:00Z, 13:00 in Berlin."""
MIDNIGHT_S = NOON_S - 13 * 3600


def document(**budget: object):
    return from_object(
        {
            "service": "chat", "policy": "mix", "arms": [{"name": "big"}, {"name": "small"}],
            "segments": {"by": "region", "values": ["eu"]}, "budget": {"time_zone": "Europe/Berlin", **budget},
        }
    )  # fmt: skip


def window(start_s, size_s, usd, *, arm="*", segment="*", slice_="*", late_usd=0.0, own_usd=0.0):
    data = {
        "service": "chat", "segment": segment, "arm": arm, "slice": slice_, "window_start": rfc3339(start_s),
        "window_end": rfc3339(start_s + size_s), "window_s": size_s, "count": 1, "errors": 0, "late": 0,
        "late_cost_usd": late_usd, "latency_ms": {"mean": 1.0, "max": 1.0}, "input_tokens": 1, "output_tokens": 1,
        "cost_usd": usd, "own_cost_usd": own_usd,
    }  # fmt: skip
    role: OutputRole = "aggregates_hourly" if size_s == 3600 else "aggregates"
    id_ = f"{start_s}-{size_s}-{arm}-{segment}-{slice_}"
    return Output(role, AGGREGATE, id_, "chat", start_s + size_s, msgspec.json.encode(data))


@pytest.fixture
def model(tmp_path):
    store = SqliteStore(tmp_path / "m.sqlite", ROLES, ABOUT, durable=False)
    yield Model(store)
    store.close()


def fill(model, outputs, *orders: Command):
    records = []
    for offset, order in enumerate(orders):
        made = encode_event(COMMAND, "/t", f"c-{offset}", "chat", to_json(order), rfc3339(NOON_S))
        records.append(seen("commands", offset, made.value, made.headers))
    for offset, output in enumerate(outputs):
        record = encode_output(output)
        records.append(seen(output.role, offset, record.value or b"", record.headers))
    model.store.take(records)


def configured(**budget: object):
    return Command(service="chat", command="configure", args=Configure(document(**budget)))


def test_each_minute_is_paid_once_whatever_windows_there_are(model):
    hour = NOON_S - 3600
    fill(
        model,
        [
            window(MIDNIGHT_S - 3600, 3600, 500.0),  # of yesterday in Berlin
            window(hour, 3600, 60.0, late_usd=1.0, own_usd=0.5),
            window(hour, 900, 15.0),
            window(hour + 3540, 60, 1.0),  # both inside the hour
            window(NOON_S, 900, 10.0),
            window(NOON_S + 900, 60, 2.0),
            window(NOON_S + 900, 60, 0.25, arm="big", slice_="shadow"),
        ],
        configured(day_usd=100.0),
    )
    (day,) = spendings(model, "chat")
    assert day.spent_usd == pytest.approx(60 + 1 + 0.5 + 10 + 2 + 0.25)
    assert (day.since, day.until) == (rfc3339(MIDNIGHT_S), rfc3339(NOON_S + 960))
    assert day.counted_from == rfc3339(hour)
    assert day.elapsed == pytest.approx((13 * 3600 + 960) / 86_400)
    per_s = day.spent_usd / (3600 + 960)
    assert day.at_this_pace_usd == pytest.approx(day.spent_usd + per_s * (11 * 3600 - 960))


def test_a_segment_pays_for_its_own_arms_and_shadows(model):
    fill(
        model,
        [
            window(NOON_S, 60, 9.0, late_usd=5.0),
            window(NOON_S, 60, 4.0, arm="big", segment="eu"),
            window(NOON_S, 60, 3.0, arm="big", segment="eu", slice_="main"),
            window(NOON_S, 60, 0.5, arm="small", segment="eu", slice_="shadow"),
            window(NOON_S, 60, 5.0, arm="big", segment="other"),
        ],
        configured(day_usd=100.0, segments=[{"segment": "eu", "month_usd": 40.0}]),
    )
    whole, europe = spendings(model, "chat")
    assert whole.spent_usd == pytest.approx(9.0 + 5.0 + 0.5)
    assert (europe.segment, europe.period, europe.budget_usd) == ("eu", "month", 40.0)
    assert europe.spent_usd == pytest.approx(4.0 + 0.5)


def test_the_share_of_a_group_is_the_one_ordered_last_for_that_group(model):
    group = {"name": "bots", "day_usd": 100.0, "share": 0.5}
    orders = [
        Command(service="chat", command="share-budget", args=ShareBudget(share=share, group=name))
        for share, name in ((0.25, ""), (0.1, "others"))
    ]
    fill(model, [window(NOON_S, 60, 1.0)], configured(group=group), orders[0])
    fill(model, [], configured(group=group), *orders)  # what is there already is passed over: one order more
    (one,) = spendings(model, "chat")
    assert (one.key, one.budget_usd) == ("budget.group.day_usd", 25.0)


def test_without_a_budget_or_before_a_minute_is_closed_there_is_nothing_to_show(model):
    assert spendings(model, "chat") == []
    assert traffic(model, "chat", 60) is None
    fill(model, [], configured(day_usd=1.0))
    assert spendings(model, "chat") == []
