"""The examples, run as their README says; what they write is read as the worker reads it."""

import inspect
import json
import runpy
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer

from app.adapters.codec import make_decode
from app.adapters.codec.encode import encode_output
from app.adapters.codec.otlp import make_decode_spans
from app.adapters.kafka.mock import MockCluster
from app.adapters.kafka.subscriber import Subscriber
from app.core.document import parse_toml
from app.core.events import FeedbackEvent, Many, ResponseEvent
from app.core.outputs import SPLIT, Output
from app.core.ports import Gateway
from app.core.split import encode
from tests.adapters.gateways import test_conformance
from tests.adapters.readmodel.worlds import outputs
from tests.core.splits import split
from tests.e2e.harness.broker import asked
from tests.pages import ROOT

on_kafka = pytest.mark.e2e
FOLDERS = sorted(path for path in (ROOT / "examples").iterdir() if path.name[:2].isdigit())
TOPICS = ("llm.responses", "otlp_spans", "llm.splits", "llm.optimizations")


@pytest.fixture(scope="module")
def broker():
    if asked() != "mock":
        pytest.skip("the examples are run once, on a mock cluster")
    with MockCluster(TOPICS) as cluster:
        yield cluster.bootstrap_servers


@pytest.fixture
def python(broker, monkeypatch):
    monkeypatch.setenv("LLM_OPTIMIZER__KAFKA__BOOTSTRAP_SERVERS", broker)

    def run(script: str, *words: object) -> str:
        command = [sys.executable, str(ROOT / "examples" / script), *map(str, words)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def loaded(script):
    return SimpleNamespace(**runpy.run_path(str(ROOT / "examples" / script)))


def on(broker, topic):
    with Subscriber({"bootstrap.servers": broker}, [topic]) as reader:
        return list(reader.until_now())


def produce(broker, made):
    producer = Producer({"bootstrap.servers": broker})
    for output in made:
        record = encode_output(output)
        producer.produce(f"llm.{output.role}", record.value, record.key, headers=dict(record.headers))
    assert producer.flush(10) == 0


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_an_example_is_a_short_readme_and_one_file_it_links_to(folder):
    readme = (folder / "README.md").read_text()
    assert len(readme.splitlines()) <= 30
    (other,) = (path.name for path in folder.iterdir() if path.name not in {"README.md", "__pycache__"})
    assert f"]({other})" in readme


def test_the_examples_are_numbered_without_a_hole():
    assert [int(folder.name[:2]) for folder in FOLDERS] == list(range(1, 8))


@on_kafka
def test_01_every_event_on_kafka_is_read_by_the_worker(broker, python):
    python("01-emit-kafka/emit.py", "mail", 50)
    decode = make_decode()
    events: list[Any] = [decode(seen.value, seen.headers) for seen in on(broker, "llm.responses")]
    assert {(type(event), event.data.service) for event in events} == {(ResponseEvent, "mail")}
    assert len({event.id for event in events}) == 50
    assert {event.data.arm for event in events} == {"large", "small"}


def test_02_both_events_are_read_by_the_worker():
    made = loaded("02-emit-http/emit.py").events("mail")
    answer: Any
    score: Any
    answer, score = (make_decode()(json.dumps(event).encode(), ()) for event in made)
    assert (type(answer), type(score)) == (ResponseEvent, FeedbackEvent)
    assert (answer.data.service, score.data.service) == ("mail", "mail")


@on_kafka
def test_03_every_span_counts_as_an_answer(broker, python):
    python("03-otel-spans/spans.py", "mail")
    (seen,) = on(broker, "otlp_spans")
    many = make_decode_spans()(seen.value, seen.headers)
    assert isinstance(many, Many)
    events: Any = many.events
    assert [type(event) for event in events] == [ResponseEvent] * 20
    assert {(event.data.service, event.data.model) for event in events} == {("mail", "gpt-4o-mini")}


def test_04_and_05_are_documents_that_say_what_their_readme_says():
    canary, prompts = (
        parse_toml((ROOT / "examples" / path).read_text(), path)
        for path in ("04-canary-and-limits/support-chat.toml", "05-ab-prompts/support-prompts.toml")
    )
    assert (canary.trial.steps[0], canary.limits.cost_usd_per_request) == (1, 0.01)
    assert len({arm.model for arm in prompts.arms}) == 1
    assert len({arm.prompt_version for arm in prompts.arms}) == 2


class FileRig:
    conditional = True

    def __init__(self, file) -> None:
        self.gateway = loaded("06-gateway-adapter/adapter.py").FileGateway(file)
        self.store = self.gateway.store
        self.able = self.gateway.capabilities


CONFORMANCE = [
    test
    for name, test in vars(test_conformance).items()
    if name.startswith("test_")
    and list(inspect.signature(test).parameters) == ["rig"]
    and "break_it" not in inspect.getsource(test)  # a file has no network that could fail
]


@pytest.mark.parametrize("conforms", CONFORMANCE, ids=lambda test: test.__name__)
async def test_06_the_adapter_conforms(conforms, tmp_path):
    await conforms(FileRig(tmp_path / "routes.json"))


@on_kafka
def test_06_the_file_has_the_newest_split_of_every_service(broker, python, tmp_path):
    older, newer = (split(version, service="chat") for version in (3, 4))
    produce(broker, [Output("splits", SPLIT, f"s-{one.version}", "chat", 0, encode(one)) for one in (newer, older)])
    said = python("06-gateway-adapter/adapter.py", tmp_path / "routes.json")
    assert said.splitlines() == ["chat version 4: applied", "chat version 3: ignored"]
    assert json.loads((tmp_path / "routes.json").read_text())["chat"]["version"] == 4
    gateway: Gateway = FileRig(tmp_path / "other.json").gateway
    assert gateway.plan(None, newer).unsupported == ()


@on_kafka
def test_07_every_event_is_told_once(broker, python):
    said = [output for output in outputs() if output.role == "optimizations"]
    produce(broker, [*said, *said])
    lines = python("07-consume-decisions/consume.py").splitlines()
    assert len(lines) == len(said)
    first = msgspec.json.decode(next(output for output in said if output.type.endswith("decided")).data)
    assert any(first["rationale"] in line for line in lines)
