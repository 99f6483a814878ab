"""Exactness under kill -9, a zombie, scaling out and SIGTERM; dead letters with reason and origin."""

import re
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.harness.broker import Broker
from tests.e2e.harness.deployment import LATENESS_S, Deployment, deploy
from tests.e2e.harness.faults import kill_agent, kill_worker, run_script, stopped, zombie
from tests.e2e.harness.recount import Recount, recount
from tests.e2e.harness.topic import Message, read
from tests.e2e.harness.traffic import Traffic, produce
from tests.e2e.harness.verify import Found, await_aggregates, differences
from tests.e2e.harness.waits import until
from tests.e2e.harness.workers import Worker

pytestmark = pytest.mark.e2e


def compare(deployment: Deployment, within_s: float) -> tuple[Recount, Found, list[str]]:
    settings = deployment.settings
    expected = recount(read(settings.kafka.bootstrap_servers, settings.topics.responses), LATENESS_S)
    found = await_aggregates(deployment, expected, within_s)
    return expected, found, differences(found, expected)


def test_five_kills_and_a_zombie_lose_and_double_nothing(real: Broker, tmp_path: Path):
    deployment = deploy(real, "faults", tmp_path)
    with ExitStack() as stack:
        first = stack.enter_context(Worker(deployment, tmp_path / "first.log"))
        second = stack.enter_context(Worker(deployment, tmp_path / "second.log"))
        workers = [first, second]

        def replace() -> None:
            workers[0] = stack.enter_context(kill_worker(deployment, workers[0]))

        script = [
            lambda: kill_agent(workers[0], "ingest"),
            lambda: kill_agent(workers[1], "optimize"),
            replace,
            lambda: zombie(workers[1], "ingest"),
            lambda: kill_agent(workers[0], "optimize"),
            lambda: kill_agent(workers[1], "ingest"),
        ]
        traffic = Traffic(200_000, step_s=0.02)
        sent = produce(deployment.settings, traffic, rate=5000, during=lambda: run_script(script, 2.0))
        assert sent.events == 200_000
        expected, found, wrong = compare(deployment, 240)
        assert len(expected.rows) > 2000
        assert wrong == [], "\n".join([*wrong[:20], first.text()[-2000:], second.text()[-2000:]])
        assert found.conflicts == []


def test_a_second_worker_three_seconds_later_is_exact_on_sixteen_partitions(real: Broker, tmp_path: Path):
    deployment = deploy(real, "scaleout", tmp_path, topics__partitions="16")
    produce(deployment.settings, Traffic(200_000, step_s=0.02))
    with Worker(deployment, tmp_path / "first.log") as first:
        until(lambda: "agent ingest started" in first.text(), 120, "the first worker does not start")
        run_script([lambda: None], 3.0)
        with Worker(deployment, tmp_path / "second.log"):
            _, _, wrong = compare(deployment, 240)
            assert wrong == [], "\n".join(wrong[:20])


def test_sigterm_ends_a_worker_in_order_and_the_next_one_goes_on(kafka: Broker, tmp_path: Path):
    deployment = deploy(kafka, "sigterm", tmp_path)
    with Worker(deployment, tmp_path / "first.log") as first:
        until(first.ready, 120, "the worker does not become ready")
        with Worker(deployment, tmp_path / "second.log") as second:
            codes: list[int] = []
            traffic = Traffic(6_000, step_s=0.05)
            produce(deployment.settings, traffic, rate=3000, during=lambda: codes.append(first.terminate(30)))
            assert codes == [0], first.text()[-2000:]
            _, _, wrong = compare(deployment, 240)
            assert wrong == [], "\n".join([*wrong[:20], second.text()[-2000:]])


def test_an_agent_that_does_not_answer_is_named_and_fails_live_until_it_goes_on(kafka: Broker, tmp_path: Path):
    deployment = deploy(kafka, "stalled", tmp_path, web__stall_s="2")
    with Worker(deployment, tmp_path / "worker.log") as worker:
        until(worker.ready, 120, "the worker does not become ready")
        assert worker.live() == []
        with stopped(worker.agents()["optimize"]):
            until(lambda: worker.live() == ["optimize: does not answer"], 120, "nobody noticed")
            assert not worker.ready()
        until(lambda: worker.ready() and worker.live() == [], 120, f"it does not go on; see {worker.log}")


def test_bad_input_lands_in_the_dead_letters_with_reason_and_origin(kafka: Broker, tmp_path: Path):
    deployment = deploy(kafka, "letters", tmp_path)
    settings = deployment.settings
    sent = produce(settings, Traffic(2_000, step_s=0.1, garbage=0.03))
    assert sent.garbage > 20
    assert sent.bad > 20
    with Worker(deployment, tmp_path / "worker.log") as worker:
        expected, _, wrong = compare(deployment, 240)
        assert wrong == [], "\n".join(wrong[:20])
        letters = read(settings.kafka.bootstrap_servers, settings.topics.dead_letters)
        assert sorted(map(origin, letters)) == sorted(
            (settings.topics.responses, partition, offset) for partition, offset in expected.refused
        )
        assert untouched(deployment, letters)
        reasons = Counter(dict(letter.headers)["reason"].decode() for letter in letters)
        assert len(reasons) > 2
        assert reasons == counted(worker)


def origin(letter: Message) -> tuple[str, int, int]:
    headers = dict(letter.headers)
    return headers["source_topic"].decode(), int(headers["source_partition"]), int(headers["source_offset"])


def untouched(deployment: Deployment, letters: list[Message]) -> bool:
    settings = deployment.settings
    produced = {
        (m.partition, m.offset): (m.key, m.value)
        for m in read(settings.kafka.bootstrap_servers, settings.topics.responses)
    }
    return all(produced[origin(letter)[1:]] == (letter.key, letter.value) for letter in letters)


def counted(worker: Worker) -> Counter[str]:
    found = re.findall(r'llm_optimizer_ingest_rejected_total\{agent="ingest",reason="(\w+)"\} (\S+)', worker.metrics())
    return Counter({reason: int(float(n)) for reason, n in found})
