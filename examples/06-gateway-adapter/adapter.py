"""A gateway of your own: it routes by a file, so the adapter's work is to bring that file to the newest split.

    python adapter.py routes.json           applies what llm.splits holds now, then ends
    python adapter.py routes.json --follow  and goes on, until Ctrl-C

`FileGateway` keeps the contract of `app.core.ports.Gateway`; the project's own conformance tests run over it.
Broker and topics: the settings of the optimizer.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

from app.adapters.gateways.store import SplitStore
from app.adapters.kafka.security import librdkafka
from app.adapters.kafka.subscriber import Subscriber
from app.core import actuation
from app.core.actuation import idempotency_key
from app.core.ports import Ack, Applied, Capability, Plan, Refused
from app.core.split import Split, decode
from app.settings import load


class FileGateway:
    """`app.core.ports.Gateway` over one JSON file. Who reads it draws slice and arm as `app/core/assign.py` says."""

    def __init__(self, file: Path) -> None:
        self.store = SplitStore()  # etags, idempotency keys, and the rule that older versions lose
        self._file = file

    @property
    def name(self) -> str:
        return "file"

    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset(("weights", "slices", "sticky"))

    def plan(self, current: Split | None, desired: Split) -> Plan:
        return actuation.plan(self.capabilities, current, desired)

    async def read(self, service: str) -> Applied | None:
        return self.store.read(service)

    async def apply(self, split: Split, if_match: str | None, idempotency_key: str) -> Ack:
        if missing := self.plan(None, split).unsupported:
            raise Refused(f"{self.name} cannot do {', '.join(missing)}")
        ack = self.store.put(split, if_match, idempotency_key, must_be_new=if_match is None)
        self._write()
        return ack

    async def revert(self, split: Split, if_match: str | None, idempotency_key: str) -> Ack:
        if not split.frozen:
            raise Refused("a revert must be frozen")
        return await self.apply(split, if_match, idempotency_key)

    def _write(self) -> None:
        """All or nothing: whoever reads the file meanwhile sees the old one or the new one."""
        found = (self.store.read(service) for service in self.store.services())
        routes = {one.split.service: routes_of(one.split) for one in found if one is not None}
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps(routes, indent=2, sort_keys=True) + "\n")
        fresh.replace(self._file)


def routes_of(split: Split) -> dict[str, object]:
    """What this gateway understands: version, slices, and for each segment the models with their weights."""
    models = {arm.name: arm.model for arm in split.arms}
    weights = {
        segment: [{"arm": arm, "model": models[arm], "weight": weight} for arm, weight in of.items() if weight]
        for segment, of in split.weights.items()
    }
    trial = split.trial
    slices = {"holdout": {"arm": split.baseline or split.incumbent, "share": split.holdout_share}}
    if trial is not None:  # shares of the traffic outside the holdout; the rest is the main slice
        slices["trial"] = {"arm": trial.arm, "share": trial.share}
        slices["control"] = {"arm": trial.control_arm, "share": trial.control_share}
    return {"version": split.version, "sticky": split.sticky, "slices": slices, "weights": weights}


async def follow(gateway: FileGateway, *, stay: bool) -> int:
    """Apply every split in the log, the newest version of each service last; returns how many were applied."""
    settings, applied = load(env=os.environ), 0
    with Subscriber(librdkafka(settings.kafka), [settings.topics.splits]) as reader:
        batch = list(reader.until_now())
        while batch or stay:
            for split in (decode(seen.value) for seen in batch if seen.value):
                held = await gateway.read(split.service)
                etag = held.etag if held is not None else None
                try:
                    status = (await gateway.apply(split, etag, idempotency_key(split, etag))).status
                except Refused as error:  # this one only: the last good split of the service stays, others go on
                    status = f"refused, {error}"
                applied += status == "applied"
                print(f"{split.service} version {split.version}: {status}", flush=True)
            batch = await asyncio.to_thread(reader.poll, timeout_s=1.0) if stay else []
    return applied


if __name__ == "__main__":
    asyncio.run(follow(FileGateway(Path(sys.argv[1])), stay="--follow" in sys.argv))
