"""Any interleaving of splits, restarts, failures, freezes and changes by hand ends with the newest allowed split."""

import asyncio
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.adapters.gateways.memory import MemoryGateway
from app.core.actuation import newness, revert_open_trial
from app.core.ports import Ack, Record
from app.core.split import Split
from tests.agents.world import World, header
from tests.core.splits import split, trial

QUIET_S = 40
"""Longer than the longest back-off and re-check together."""


class Watched(MemoryGateway):
    """Remembers what was put while the kill switch was on."""

    def __init__(self, world: "Story") -> None:
        super().__init__()
        self.world = world

    async def apply(self, split: Split, if_match: str | None, idempotency_key: str) -> Ack:
        before = self.store.changes
        try:
            return await super().apply(split, if_match, idempotency_key)
        finally:
            if self.store.changes != before:
                self.world.put(split)


class Story(World):
    """A world that knows what may happen in it."""

    def __init__(self) -> None:
        self.version = 0
        self.log: list[Split] = []
        self.frozen = self.hold = False
        self.once_held: list[Split] = []
        super().__init__(gateway=Watched(self))

    def put(self, one: Split) -> None:
        """While frozen only reverts are put, or under hold what was there before is put back."""
        if self.frozen:
            assert one.frozen or (one in self.once_held and (self.hold or one.trial is None))
        self.once_held.append(one)

    def tell(self, one: Split) -> None:
        self.log.append(one)
        self.publish(one)

    async def do(self, step: str) -> None:
        if step in {"down", "lost-answer", "garbage", "busy", ""}:
            self.gateway.failure = step
        elif step in {"freeze", "hold", "resume"}:
            self.frozen, self.hold = step != "resume", step == "hold"
            self.command("resume" if step == "resume" else "freeze", hold=self.hold)
        elif step in {"trial", "plain", "rollback", "revert", "again"}:
            self.decide(step)
        elif step in {"restart", "forget", "by-hand"}:
            {"restart": self.restart, "forget": self.gateway.store.clear, "by-hand": self.by_hand}[step]()
        elif step == "tick":
            await self.tick(1.0)
            self.write()
        elif step == "long":
            await self.drive(10)
        else:
            self.gateway.failure = "lost-answer"
            await self.tick(1.0)
            self.gateway.failure = ""
            self.restart()

    def decide(self, step: str) -> None:
        if step in {"revert", "again"} and not self.log:
            return
        if step == "again":
            self.publish(self.log[len(self.log) // 2])
        elif step == "revert":
            newest = max(self.log, key=newness)
            self.tell(msgspec.structs.replace(revert_open_trial(newest), decision_id="revert"))
        else:
            self.version += 1
            self.tell(trial(self.version) if step == "trial" else split(self.version, frozen=step == "rollback"))

    def by_hand(self) -> None:
        held = self.gateway.store.read("bot")
        if held is not None:
            edited = msgspec.structs.replace(held.split, weights={"*": {"small": 1.0}})
            self.gateway.store.put(edited, held.etag)
            self.once_held.append(edited)

    def allowed(self) -> Iterator[Split | None]:
        """What the gateway may hold at the end, with the kill switch off."""
        if not self.log:
            yield None
            return
        best = max(newness(one) for one in self.log)
        newest = [one for one in self.log if newness(one) == best][-1]
        yield newest
        yield revert_open_trial(newest)  # made here during a freeze; stands until a newer version comes


DECISIONS = ["trial", "trial", "plain", "rollback", "revert", "again", "freeze", "hold", "resume"]
ACCIDENTS = ["restart", "forget", "by-hand", "down", "lost-answer", "garbage", "busy", "", "crash-after-act"]
STEPS = st.sampled_from(DECISIONS + ACCIDENTS + ["tick"] * 5 + ["long"])


@pytest.fixture(scope="module")
def runner():
    with asyncio.Runner() as one:
        yield one


@settings(max_examples=150, deadline=None)
@given(steps=st.lists(STEPS, max_size=30))
def test_it_ends_with_the_newest_allowed_split_and_never_does_the_forbidden(runner, steps):
    async def run() -> None:
        story = Story()
        for step in steps:
            await story.do(step)
        story.gateway.failure = ""
        await story.drive(QUIET_S)
        story.write()
        held = story.held()
        if not story.frozen:
            assert held in list(story.allowed())
        elif not story.hold:
            assert held is None or held.trial is None
        changes = story.gateway.store.changes
        await story.drive(QUIET_S)
        assert story.gateway.store.changes == changes, "it comes to rest"
        payloads: dict[str, Record] = {}
        for record in story.written:
            assert payloads.setdefault(header(record, "ce_id"), record) == record

    runner.run(run())
