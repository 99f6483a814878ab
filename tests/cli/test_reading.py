"""Commands that read, on a cluster that holds what a service said in an hour and some minutes of its life."""

import csv
import io

import msgspec
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from confluent_kafka import Producer

from app.adapters.codec.encode import encode_event, encode_output
from app.adapters.kafka.mock import MockCluster
from app.adapters.kafka.subscriber import SubscribeError
from app.adapters.readmodel import glance as glances
from app.adapters.readmodel.experiments import Experiment
from app.cli import reading
from app.cli.main import cli
from app.core import commands
from app.core.commands import COMMAND, Command, Configure
from app.core.document import from_object, to_object
from app.core.outputs import EXPERIMENT_COMPLETED, EXPERIMENT_STARTED, Output
from tests.adapters.readmodel.worlds import ROLES, dead_letter, document, records

STARTED = {
    "experiment_id": "exp-1", "service": "chat", "experiment_name": "greeting", "status": "running",
    "variants": [{"variant_id": "big"}, {"variant_id": "small"}], "hypothesis": "shorter is better",
}  # fmt: skip
ENDED = STARTED | {
    "status": "completed", "duration_hours": 2.5, "winner": {"variant_id": "small"},
    "conclusion": "small is better than big: small won.",
}  # fmt: skip
OTHER = STARTED | {"experiment_id": "exp-2", "experiment_name": "tone"}


def told(type_, id_, data, time_s):
    return Output("optimizations", type_, id_, "chat", time_s, msgspec.json.encode(data))


@pytest.fixture(scope="module")
def cluster():
    with MockCluster(ROLES) as running:
        producer = Producer({"bootstrap.servers": running.bootstrap_servers})
        for seen in [*records(), dead_letter(0), dead_letter(1, "bad_data")]:
            producer.produce(seen.topic, seen.value, "chat", headers=list(seen.headers))
        at_s = 1_700_000_000
        for output in (
            told(EXPERIMENT_STARTED, "x-1", STARTED, at_s),
            told(EXPERIMENT_COMPLETED, "x-2", ENDED, at_s + 9_000),
            told(EXPERIMENT_STARTED, "x-3", OTHER, at_s + 9_500),
        ):
            record = encode_output(output)
            producer.produce("llm.optimizations", record.value, record.key, headers=dict(record.headers))
        budget = from_object({**to_object(document()), "budget": {"day_usd": 10.0, "month_usd": 100.0}})
        order = commands.to_json(Command(service="chat", command="configure", args=Configure(budget), actor="ana"))
        newer = encode_event(COMMAND, "/test", "order-9", "chat", order, "2023-11-14T22:20:00Z")
        producer.produce("llm.commands", newer.value, newer.key, headers=dict(newer.headers))
        assert producer.flush(10) == 0
        yield running


@pytest.fixture
def ask(cluster):
    def run(*words: str):
        return CliRunner().invoke(cli, ["--set", f"kafka.bootstrap_servers={cluster.bootstrap_servers}", *words])

    return run


def answer(result):
    assert result.exit_code == 0, (result.stderr, result.exception)
    return msgspec.json.decode(result.stdout)


def test_services_are_listed_with_their_newest_traffic(ask):
    chat, _clock = answer(ask("services", "--json"))
    assert (chat["service"], chat["mode"], chat["configured"], chat["arms"]) == ("chat", "auto", True, ["big", "small"])
    assert chat["requests"] == 15 * 30
    head, row, _ = ask("services").stdout.splitlines()
    assert (head.split()[0], row.split()[0]) == ("SERVICE", "chat")


def test_trials_say_who_was_tried_how_it_ended_and_why(ask):
    again, trial = answer(ask("trials", "--json"))
    assert again["start_time"] > trial["end_time"]
    assert (trial["arm"], trial["control_arm"], trial["status"], trial["winner"]) == (
        "small",
        "big",
        "completed",
        "big",
    )
    assert "aborted" in ask("trials", "--service", "chat").stdout
    assert answer(ask("trials", "--status", "running", "--limit", "1", "--json")) == [again]
    assert "no trials yet" in ask("trials", "--service", "mail").stdout


def test_experiments_are_listed_with_their_winner_and_conclusion(ask):
    first, second = (
        msgspec.convert(one, Experiment, strict=False) for one in answer(ask("experiment", "list", "--json"))
    )
    assert (first.status, first.winner, first.duration_hours, first.arms) == (
        "completed",
        "small",
        2.5,
        ["big", "small"],
    )
    assert (second.name, second.status, second.winner) == ("tone", "running", None)
    assert "small is better than big" in ask("experiment", "list").stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["mail", "--arm", "small"], "'mail' has no document: apply one"),
        (["chat", "--arm", "tiny"], "chat has no arm 'tiny', it has big, small: add it to the document"),
    ],
)
def test_an_experiment_that_could_only_be_refused_is_an_error_with_the_next_step(ask, words, says):
    result = ask("experiment", "create", *words)
    assert result.exit_code == 1
    assert says in result.stderr


def test_an_experiment_is_ordered_and_stopped_by_commands_in_the_log(ask):
    made = answer(ask("experiment", "create", "chat", "--arm", "small", "--name", "n", "--scored-max", "500", "--json"))
    stopped = answer(ask("experiment", "stop", "chat", "--experiment", "exp-1", "--json"))
    assert (made["command"], stopped["command"]) == ("experiment.start", "experiment.stop")
    (start,) = [row for row in exported(ask, "commands") if row["id"] == made["id"]]
    assert msgspec.json.decode(start["json"])["args"] == {
        "arms": ["small"], "name": "n", "hypothesis": "", "scored_max": 500,
    }  # fmt: skip


def test_savings_are_shown_as_last_told(ask):
    (claim,) = answer(ask("savings", "--json"))
    assert (claim["service"], claim["baseline"]) == ("chat", "big")
    assert claim["requests"] > 0
    row = ask("savings").stdout.splitlines()[1]
    assert row.split()[:2] == ["chat", "big"]
    assert "nothing was said of savings" in ask("savings", "--service", "mail").stdout


def test_a_budget_is_shown_with_what_was_spent_of_it_each_minute_once(ask):
    day, month = answer(ask("budget", "--json"))
    minutes = [row for row in exported(ask, "windows") if row["window_s"] == "60" and row["arm"] == "*"]
    assert (day["period"], day["budget_usd"]) == ("day", 10.0)
    counted = [row for row in minutes if row["start"] >= day["since"]]
    assert counted
    assert day["spent_usd"] == pytest.approx(sum(float(row["cost_usd"]) for row in counted))
    assert month["spent_usd"] == pytest.approx(sum(float(row["cost_usd"]) for row in minutes))
    assert 0 < month["elapsed"] < 1
    assert ask("budget").stdout.splitlines()[0].split()[:4] == ["SERVICE", "PERIOD", "BUDGET", "SPENT"]


def exported(ask, *words: str):
    result = ask("export", *words)
    assert result.exit_code == 0, (result.stderr, result.exception)
    return list(csv.DictReader(io.StringIO(result.stdout)))


def test_every_table_can_be_exported(ask):
    counts = {table: len(exported(ask, table)) for table in ("decisions", "trials", "windows", "savings")}
    assert counts["trials"] == 2
    assert counts["windows"] > 60
    assert [row["reason"] for row in exported(ask, "dead-letters")] == ["not_json", "bad_data"]
    times = [row["time"] for row in exported(ask, "decisions", "--service", "chat")]
    assert times == sorted(times)
    assert exported(ask, "decisions", "--since", "1h") == []


def test_an_export_goes_to_the_file_in_the_format_of_its_name(ask, tmp_path):
    into = tmp_path / "windows.jsonl"
    result = ask("export", "windows", "--into", str(into))
    assert "rows of windows" in result.stderr
    rows = [msgspec.json.decode(line) for line in into.read_text().splitlines()]
    assert sum(row["window_s"] == 60 and row["arm"] == "*" for row in rows) >= 60
    assert "histogram" not in rows[0]
    table = tmp_path / "trials.parquet"
    ask("export", "trials", "--into", str(table))
    assert [row["status"] for row in pq.read_table(table).to_pylist()] == ["completed", "running"]
    assert ask("export", "windows", "--format", "parquet").exit_code == 2
    wrong = ask("export", "windows", "--into", str(tmp_path / "windows.xls"))
    assert wrong.exit_code == 2
    assert "'xls': choose from csv, jsonl" in wrong.stderr


def test_followed_decisions_are_printed_as_they_come(ask, cluster, monkeypatch):
    """An outage in between is said once; what came meanwhile is not lost."""
    producer = Producer({"bootstrap.servers": cluster.bootstrap_servers})
    monkeypatch.setattr(reading, "RETRY_S", 0.0)
    real, turns = glances.Glance.more, []
    taken: list[int] = []

    def more(self, timeout_s):
        turns.append(timeout_s)
        if len(turns) in {1, 2}:
            raise SubscribeError("the broker is away")
        if len(turns) == 3:
            late = encode_output(told(EXPERIMENT_STARTED, "x-9", OTHER | {"experiment_id": "exp-9"}, 1_700_010_000))
            producer.produce("llm.optimizations", late.value, late.key, headers=dict(late.headers))
            assert producer.flush(10) == 0
        if taken or len(turns) > 500:
            raise KeyboardInterrupt
        if found := real(self, timeout_s):
            taken.append(found)
        return found

    monkeypatch.setattr(glances.Glance, "more", more)
    result = ask("decisions", "--follow", "--status", "started", "--json")
    assert result.stderr.count("the broker is away; waiting for it") == 1
    ids = [msgspec.json.decode(line)["id"] for line in result.stdout.splitlines()]
    assert ids == ["x-1", "x-3", "x-9"]


def test_a_watched_status_is_shown_again_only_when_it_changes(ask, monkeypatch):
    def stopping(_):
        yield
        yield
        raise KeyboardInterrupt

    monkeypatch.setattr("app.cli.status.follow", stopping)
    shown = ask("status", "--watch", "--service", "chat", "--json").stdout.splitlines()
    assert [msgspec.json.decode(line)["service"] for line in shown] == ["chat"]


def test_what_is_not_read_is_said(ask, monkeypatch):
    monkeypatch.setattr(glances, "NEWEST", {**glances.NEWEST, "optimizations": 1})
    result = ask("trials", "--json")
    assert "only the newest decisions were read" in result.stderr
