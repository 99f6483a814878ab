import re
import time

import msgspec
import pytest
from click.testing import CliRunner
from confluent_kafka import Producer

from app.adapters.codec.encode import encode_output
from app.adapters.kafka.mock import MockCluster
from app.cli.main import cli
from app.core.decision import Alternative, Decision, Impact, Outcome, encode_decision, encode_outcome
from app.core.events import rfc3339
from app.core.outputs import AGGREGATE, COMPLETED, DECIDED, SPLIT, VERIFIED, Output
from app.core.split import ArmDefinition, Split, TrialSlice
from app.core.split import encode as encode_split

TOPICS = {
    "optimizations": "llm.optimizations",
    "splits": "llm.splits",
    "aggregates": "llm.aggregates",
    "commands": "llm.commands",
}
NOW_S = int(time.time())

SPLIT_3 = Split(
    service="chat",
    version=3,
    decision_id="aaaa1111",
    incumbent="large",
    arms=(ArmDefinition(name="large", model="l-1"), ArmDefinition(name="small", model="s-1")),
    weights={"*": {"large": 1.0}},
    trial=TrialSlice("t1", "small", "large", 0.25, 0.25),
)
STEP = Decision(
    decision_id="aaaa1111",
    service="chat",
    action="next-step",
    version=3,
    cycle=2,
    trigger="threshold",
    strategy="cost-performance",
    mode="auto",
    expected_impact={"cost": Impact(estimate=-0.6, low=-0.7, high=-0.5, n=900)},
    rationale="small goes to 25 %: 60 % lower cost.",
    alternatives=(Alternative("huge", "costs more"),),
    split=SPLIT_3,
)


def decided(id_, service, time_s):
    decision = msgspec.structs.replace(STEP, decision_id=id_, service=service)
    return Output("optimizations", DECIDED, f"e-{id_}", service, time_s, encode_decision(decision))


@pytest.fixture(scope="module")
def cluster():
    aggregate = {
        "service": "chat", "segment": "*", "arm": "*", "slice": "*", "window_start": rfc3339(NOW_S - 180),
        "window_end": rfc3339(NOW_S - 120), "window_s": 60, "count": 5, "errors": 0, "late": 0, "input_tokens": 1,
        "output_tokens": 1, "cost_usd": 0.1, "latency_ms": {"mean": 1.0, "max": 1.0},
    }  # fmt: skip
    outcome = Outcome(
        decision_id="aaaa1111", service="chat", version=3, gateway="g", observed_share=0.24, expected_share=0.25,
        requests=400,
    )  # fmt: skip
    ended = Outcome(
        decision_id="aaaa2222", service="mail", version=3, gateway="g", expected_impact=STEP.expected_impact,
        realised_impact={"cost": Impact(estimate=-0.55, low=-0.6, high=-0.5, n=812)},
    )  # fmt: skip
    outputs = [
        decided("aaaa1111", "chat", NOW_S - 600),
        decided("aaaa1111", "chat", NOW_S - 600),  # a repeated id is shown once
        Output("optimizations", VERIFIED, "v-1", "chat", NOW_S - 300, encode_outcome(outcome)),
        decided("aaaa2222", "mail", NOW_S - 90_000),
        Output("optimizations", COMPLETED, "c-1", "mail", NOW_S - 89_000, encode_outcome(ended)),
        Output("splits", SPLIT, "s-3", "chat", NOW_S - 600, encode_split(SPLIT_3)),
        Output("aggregates", AGGREGATE, "w-1", "chat", NOW_S - 120, msgspec.json.encode(aggregate)),
    ]
    with MockCluster(TOPICS.values()) as running:
        producer = Producer({"bootstrap.servers": running.bootstrap_servers})
        for record in map(encode_output, outputs):
            producer.produce(TOPICS[record.role], record.value, record.key, headers=dict(record.headers))
        assert producer.flush(10) == 0
        yield running


@pytest.fixture
def ask(cluster):
    def run(*words: str):
        return CliRunner().invoke(cli, ["--set", f"kafka.bootstrap_servers={cluster.bootstrap_servers}", *words])

    return run


def lines(result):
    assert result.exit_code == 0, result.stderr
    return [msgspec.json.decode(line) for line in result.stdout.splitlines()]


def test_decisions_are_listed_oldest_first_with_their_outcomes_and_each_id_once(ask):
    events = lines(ask("decisions", "--json"))
    assert [(e["service"], e["status"]) for e in events] == [
        ("mail", "decided"),
        ("mail", "completed"),
        ("chat", "decided"),
        ("chat", "verified"),
    ]
    assert events[2]["data"]["rationale"] == STEP.rationale


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        (["--service", "mail"], ["e-aaaa2222", "c-1"]),
        (["--status", "verified"], ["v-1"]),
        (["--since", "24h"], ["e-aaaa1111", "v-1"]),
        (["--since", rfc3339(NOW_S - 400)], ["v-1"]),
        (["--limit", "1"], ["v-1"]),
    ],
)
def test_the_list_can_be_narrowed(ask, words, ids):
    assert [event["id"] for event in lines(ask("decisions", "--json", *words))] == ids


def test_people_get_a_table(ask):
    head, *rows = ask("decisions").stdout.splitlines()
    assert head.split() == ["TIME", "SERVICE", "STATUS", "ACTION", "VERSION", "DECISION", "WHY"]
    assert len(rows) == 4


@pytest.mark.parametrize(("words", "says"), [(["--since", "soon"], "24h"), (["--status", "done"], "verified")])
def test_a_filter_that_means_nothing_is_a_usage_error(ask, words, says):
    result = ask("decisions", *words)
    assert result.exit_code == 2
    assert says in result.stderr


def test_a_decision_is_explained_by_the_beginning_of_its_id_with_what_became_of_it(ask):
    result = ask("explain", "aaaa1")
    assert result.exit_code == 0, result.stderr
    for text in (STEP.rationale, "huge", "costs more", "verified: 24.0% of 400 requests (25.0% expected)"):
        assert text in result.stdout


def test_an_explanation_as_json_holds_the_whole_decision(ask):
    decision, outcome = msgspec.json.decode(ask("explain", "aaaa1111", "--json").stdout)
    assert decision["data"]["split"]["trial"]["arm"] == "small"
    assert outcome["status"] == "verified"


def test_an_id_that_fits_nothing_or_several_is_an_error_that_says_so(ask):
    assert re.search("no decision begins with 'zz'.*decisions", ask("explain", "zz").stderr)
    result = ask("explain", "aaaa")
    assert result.exit_code == 1
    assert "2 decisions begin with 'aaaa': aaaa1111, aaaa2222" in result.stderr


def test_status_shows_split_trial_mode_and_how_far_behind_counting_is(ask):
    chat, mail = msgspec.json.decode(ask("status", "--json").stdout)
    assert (chat["service"], chat["mode"], chat["version"], chat["weights"]) == (
        "chat",
        "auto",
        3,
        {"*": {"large": 1.0}},
    )
    assert chat["trial"] == "small 25% against large 25%"
    assert 120 <= chat["behind_s"] < 900  # machines may be busy
    assert (mail["service"], mail["version"], mail["behind_s"]) == ("mail", 0, None)


def test_status_for_people_is_one_line_a_service(ask):
    _, chat = ask("status", "--service", "chat").stdout.splitlines()
    assert chat.split()[:4] == ["chat", "auto", "3", "large"]


def test_topics_that_are_not_there_or_a_broker_that_is_not_there_is_an_error_with_the_next_step(monkeypatch):
    monkeypatch.setattr("app.adapters.kafka.subscriber.METADATA_TIMEOUT_S", 0.2)
    result = CliRunner().invoke(cli, ["--set", "kafka.bootstrap_servers=127.0.0.1:1", "decisions"])
    assert "kafka.bootstrap_servers" in str(result.exception)


def test_explain_shows_the_realised_impact_beside_the_expected_one(ask):
    page = ask("explain", "aaaa2222").stdout
    assert "Realised impact (the trial against its concurrent control)" in page
    assert "  cost    -60 %     -55 %     -60 % to -50 %  812" in page.splitlines()
