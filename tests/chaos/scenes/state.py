"""State that is not there: deleted records, folders that cannot be written, rubbish in them."""

import shutil
import subprocess
import sys

from tests.chaos.account import Account, account, count_evidence, count_orders
from tests.chaos.scenario import Size
from tests.chaos.traffic import BASE_S, Plan, Sender
from tests.chaos.verdict import Verdict
from tests.chaos.world import READY_S, World
from tests.e2e.harness.broker import ROOT
from tests.e2e.harness.topic import Message
from tests.e2e.harness.waits import until
from tests.e2e.harness.workers import Worker

EXIT_STATE, EXIT_FOLDER = 4, 78
HOURS_S = 8_000.0
GONE = 300
"""Records that retention deletes."""


def retention(world: World, size: Size) -> Verdict:
    """Retention overtakes a stopped worker (exit with a word, then accepted), then one that runs."""
    file = world.folder / "stopped"
    world.start(1)
    first = _send(world, 0)
    world.judge(world.account())
    _end(world)
    second = _send(world, 1)
    full = _evidence(world)
    topic = world.settings.topics.responses
    at = _committed(world, topic, 0)
    world.delete_before(topic, {0: at + GONE})
    world.say(f"{topic}-0: {GONE} records deleted behind the committed offset {at}")
    gone = {(topic, 0, offset) for offset in range(at, at + GONE)}

    [worker] = world.start(1)
    until(lambda: 'agent_last_exit_code{agent="ingest"} 4' in _metrics(worker), READY_S, f"no exit 4; see {worker.log}")
    assert "retention deleted 300 records" in worker.text(), worker.log
    world.say("kafka.on_retention_gap = exit: exit code 4, with the number of records")
    _end(world)

    accept = {"LLM_OPTIMIZER__KAFKA__ON_RETENTION_GAP": "accept"}
    world.start(1, {**accept, **world.injected(stop_file=str(file))})
    verdict = world.judge(_account(world, full, gone))
    if not verdict.exact:
        return verdict
    counted = "llm_optimizer_lane_records_lost_to_retention_total"
    lost = world.await_metric(counted, lambda _: True, "no metrics")
    if lost != GONE:
        verdict.violations["lost"].append(f"records_lost_to_retention is {lost}, expected {GONE}")
    world.say("accept: counted, and exact but for what was deleted")

    file.write_text(f"{topic}-0")
    before = max(m.offset for m in world.read(topic) if m.partition == 0) + 1
    _send(world, 2)
    full = {t: _joined(full[t], world.read(t)) for t in full}
    world.delete_before(topic, {0: before + GONE})
    gone |= {(topic, 0, offset) for offset in range(before, before + GONE)}
    file.unlink()
    world.say(f"{topic}-0: {GONE} records deleted before a running worker had read them")
    assert first.sent and second.sent
    return world.judge(_account(world, full, gone))


def _send(world: World, part: int) -> Sender:
    """A part of the stream, an hour or two after the one before, closed by its tail."""
    plan = Plan(
        events=12_000,
        rate=4000,
        seed=world.seed + part,
        base_s=BASE_S + part * HOURS_S,
        idle=False,
        late=0.0,
        behind=0.0,
        disorder_s=1.0,
        commands=0,
    )
    with world.traffic(plan) as sender:
        pass
    sender.tail()
    return sender


def _end(world: World) -> None:
    for worker in world.workers:
        worker.kill()
    world.workers.clear()


def _metrics(worker: Worker) -> str:
    try:
        return worker.metrics()
    except (OSError, AssertionError):
        return ""


def _committed(world: World, topic: str, partition: int) -> int:
    from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": world.broker.address, "log_level": 2})
    asked = [ConsumerGroupTopicPartitions(f"{world.settings.kafka.group}-ingest", [TopicPartition(topic, partition)])]
    [future] = admin.list_consumer_group_offsets(asked).values()
    return int(future.result(20).topic_partitions[0].offset)


def _evidence(world: World) -> dict[str, list[Message]]:
    return {topic: world.read(topic) for topic in (world.settings.topics.responses, world.settings.topics.feedback)}


def _joined(old: list[Message], new: list[Message]) -> list[Message]:
    known = {(m.partition, m.offset) for m in old}
    return old + [m for m in new if (m.partition, m.offset) not in known]


def _account(world: World, full: dict[str, list[Message]], gone: set[tuple[str, int, int]]) -> Account:
    """What must come out of all that was ever sent, but for what was deleted unread."""
    total = account()
    for topic, messages in full.items():
        kept = [m for m in messages if (topic, m.partition, m.offset) not in gone]
        count_evidence(total, topic, kept, world.rules)
    count_orders(total, world.read(world.settings.topics.commands))
    return total


def folder(world: World, size: Size) -> Verdict:
    """A state folder that cannot be made; a full disk under the tee; rubbish in the folder. Kafka has everything."""
    blocked = world.folder / "file"
    blocked.write_text("")
    for name, env, more in (
        ("a state folder that cannot be made", {"LLM_OPTIMIZER__STATE__DIR": str(blocked / "state")}, []),
        ("a full disk under --tee", {}, ["--tee", "/dev/full"]),
    ):
        with world.traffic(Plan(events=3_000, rate=3000, seed=world.seed, commands=0, step_s=0.1)):
            done = _run(world, env, more)
        if done.returncode != EXIT_FOLDER or "cannot write" not in done.stderr:
            raise AssertionError(f"{name}: exit code {done.returncode}, expected {EXIT_FOLDER}; {done.stderr[-1500:]}")
        world.say(f"{name}: exit code {EXIT_FOLDER}, 'cannot write ...'")
    state = world.folder / "state"
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir()
    for number in range(3):
        (state / f"{world.settings.kafka.group}-{number}").write_bytes(world.rnd.randbytes(4096))
    world.say("rubbish in the state folder, which holds nothing a worker needs")
    world.start(1)
    if world.sender is not None:
        world.sender.tail()
    return world.judge()


def _run(world: World, env: dict[str, str], more: list[str]) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "app.cli.main", "worker", "--agents", "ingest,optimize", *more]
    return subprocess.run(
        command, cwd=ROOT, env={**world.deployment.env, **env}, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=READY_S, check=False,
    )  # fmt: skip
