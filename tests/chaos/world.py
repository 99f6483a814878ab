"""One deployment under chaos: its topics, its workers, its traffic, and the verdict at the end."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from app.adapters.kafka.admin import KafkaAdmin
from tests.chaos.account import Account, Rules, account, count_evidence, count_orders
from tests.chaos.broker import OwnBroker
from tests.chaos.traffic import Plan, Role, Sender
from tests.chaos.verdict import Found, Verdict, judge
from tests.e2e.harness.broker import Broker
from tests.e2e.harness.deployment import Deployment, deploy
from tests.e2e.harness.topic import Follower, Message, read
from tests.e2e.harness.waits import until
from tests.e2e.harness.workers import Worker

PARTITIONS: Mapping[Role, int] = {"responses": 7, "feedback": 3, "commands": 2}
"""Several topics with different counts; the facts have 4."""
INJECT = Path(__file__).with_name("inject")
CAUGHT_UP_S = 300.0
LONGEST_S = 1800.0
READY_S = 600.0
"""Bounds of waiting, for machines that are busy with other things: a start took 200 s where 18 more ran for each core."""


class World:
    """``workers`` run now, by number; every one that ever ran has its log in ``folder``."""

    def __init__(
        self, name: str, seed: int, broker: Broker, own: OwnBroker | None, folder: Path, **overrides: str
    ) -> None:
        self.name, self.seed, self.broker, self._own, self.folder = name, seed, broker, own, folder
        self.rnd = random.Random(f"{name}-{seed}")
        self.notes: dict[str, str] = {}
        self.said: list[str] = []
        self.stack = ExitStack()
        self.workers: list[Worker] = []
        counts = {str(role): count for role, count in PARTITIONS.items()}
        self.deployment = deploy(broker, f"chaos-{name}-{seed}", folder / "state", counts, **overrides)
        self.settings = self.deployment.settings
        self.sender: Sender | None = None
        self.found = Found()
        self._began = time.monotonic()

    @property
    def own(self) -> OwnBroker:
        """The broker, to be killed or configured."""
        if self._own is None:
            raise AssertionError("this needs a real broker of one's own")
        return self._own

    def compact_hard(self) -> None:
        """Let the broker compact the changelogs whenever it can."""
        self.own.alter({"log.cleaner.backoff.ms": "500"})
        hard = {
            "min.compaction.lag.ms": "0",
            "max.compaction.lag.ms": "1000",
            "segment.ms": "1000",
            "min.cleanable.dirty.ratio": "0.001",
            "delete.retention.ms": "0",
        }
        for topic in (self.settings.topics.services, self.settings.topics.windows):
            KafkaAdmin(self.settings).alter(topic, hard)

    def delete_before(self, topic: str, offsets: Mapping[int, int]) -> None:
        """What retention does."""
        self.own.delete_before(topic, offsets)

    # ---- workers ----
    def start(self, count: int = 1, extra: Mapping[str, str] | None = None) -> list[Worker]:
        """More workers; ``extra``: environment of these alone."""
        env = {**self.deployment.env, **(extra or {})}
        deployment = Deployment(self.settings, env)
        new = []
        for _ in range(count):
            log = self.folder / f"worker-{len(list(self.folder.glob('worker-*.log')))}.log"
            new.append(self.stack.enter_context(Worker(deployment, log)))
        self.workers += new
        return new

    def await_ready(self, within_s: float = READY_S) -> None:
        """Until every worker has its partitions (possibly none)."""
        for worker in self.workers:
            until(worker.ready, within_s, f"a worker does not become ready; see {worker.log}")

    def injected(self, **env: str) -> dict[str, str]:
        """Environment of a worker with faults inside (``tests/chaos/inject``)."""
        return {"PYTHONPATH": str(INJECT), **{f"CHAOS_{key.upper()}": value for key, value in env.items()}}

    def say(self, text: str) -> None:
        """Write down what was done when."""
        self.said.append(f"{time.monotonic() - self._began:6.1f} s  {text}")

    # ---- traffic ----
    @contextmanager
    def traffic(self, plan: Plan) -> Iterator[Sender]:
        """Send ``plan`` beside the block; at its end everything is acked."""
        counts: dict[Role, int] = dict(PARTITIONS)
        if not self.broker.real:  # which has no transactions: what is rolled back stays in its log
            counts, plan = dict.fromkeys(PARTITIONS, 4), msgspec.structs.replace(plan, transactions=0.0)
        self.sender = sender = Sender(self.settings, plan, counts)
        failed: list[BaseException] = []

        def run() -> None:
            try:
                sender.run()
            except BaseException as error:  # noqa: BLE001  # raised again below
                failed.append(error)

        thread = threading.Thread(target=run, name=f"{self.name}-traffic")
        thread.start()
        try:
            yield sender
        except BaseException:
            sender.stop.set()
            raise
        finally:
            thread.join()
        if failed:
            raise failed[0]
        if plan.transactions:
            self.notes["transactions"] = sender.transactions

    # ---- the verdict ----
    @property
    def rules(self) -> Rules:
        """What the settings say of counting."""
        ingest = self.settings.ingest
        return Rules(int(ingest.lateness_s), int(ingest.ahead_s), ingest.quota_per_minute)

    def account(self, without: str = "") -> Account:
        """What must come out of what was sent so far; ``without``: a source (``topic-partition``) left out."""
        total, topics = account(), self.settings.topics
        for topic in (topics.responses, topics.feedback):
            messages = [m for m in self.read(topic) if f"{topic}-{m.partition}" != without]
            count_evidence(total, topic, messages, self.rules)
        count_orders(total, self.read(topics.commands))
        return total

    def read(self, topic: str) -> list[Message]:
        """The whole topic as it is now."""
        return read(self.broker.address, topic)

    def judge(
        self, expected: Account | None = None, within_s: float = CAUGHT_UP_S, until_s: float = float("inf")
    ) -> Verdict:
        """Wait until everything expected is there or nothing new has come for ``within_s``, then judge all there is."""
        expected = expected or self.account()
        outputs = Outputs(self)
        began = latest = time.monotonic()
        try:
            verdict, size = judge(expected, outputs.found(), until_s), outputs.now.size
            while not verdict.exact and time.monotonic() < min(latest + within_s, began + LONGEST_S):
                time.sleep(0.3)
                verdict = judge(expected, outputs.found(), until_s)
                if outputs.now.size != size:
                    latest, size = time.monotonic(), outputs.now.size
        finally:
            outputs.close()
        self.found = outputs.now
        return verdict

    def outputs(self) -> Mapping[Any, Any]:
        """The minute rows there are now, by key."""
        outputs = Outputs(self)
        try:
            self.found = outputs.found()
        finally:
            outputs.close()
        return self.found.rows

    def incomplete(self) -> set[tuple[str, int]]:
        """Minutes (service, start) that came with ``complete=false``."""
        self.outputs()
        return self.found.incomplete

    # ---- what the workers say ----
    def metric(self, name: str) -> float:
        """The sum of all samples of a metric over the workers that run."""
        return sum(self.samples(name))

    def await_metric(self, name: str, wanted: Callable[[float], bool], complaint: str) -> float:
        """The metric once it is as wanted; a worker that is too busy to answer is asked again."""
        seen: list[float] = []

        def asked() -> bool:
            with suppress(OSError, AssertionError):
                seen.append(self.metric(name))
            return bool(seen) and wanted(seen[-1])

        until(asked, READY_S, complaint)
        return seen[-1]

    def samples(self, name: str) -> list[float]:
        """All samples of a metric of the workers that run."""
        lines = [line for worker in self.workers for line in worker.metrics().splitlines()]
        return [float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name}{{", f"{name} "))]

    def logs(self) -> str:
        """Everything any worker logged."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("worker-*.log")))

    def close(self) -> None:
        if self.sender is not None:
            self.sender.stop.set()
        self.stack.close()


class Outputs:
    """Follows the three public topics that are judged."""

    def __init__(self, world: World) -> None:
        topics, self.now = world.settings.topics, Found()
        takers: dict[str, Callable[[Message], None]] = {
            topics.aggregates: self.now.take_aggregate,
            topics.optimizations: self.now.take_decision,
            topics.dead_letters: self.now.take_letter,
        }
        self._followers = [(Follower(world.broker.address, topic), take) for topic, take in takers.items()]

    def found(self) -> Found:
        for follower, take in self._followers:
            for message in follower.new():
                take(message)
        return self.now

    def close(self) -> None:
        for follower, _ in self._followers:
            follower.close()
