"""The scenarios by name."""

from tests.chaos.scenario import Scenario
from tests.chaos.scenes import faulty, live, measure, overload, state

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "processes",
        "drawn by seed: kill -9 of an agent, a worker, all; SIGTERM; zombies; hiccups; changelogs compacted hard",
        faulty.processes,
        covers=("transactions", "kill one", "kill all", "sigterm", "zombie", "hiccup", "compaction", "late"),
        ci=True,
    ),
    Scenario(
        "stopped",
        "a partition without a leader: closes wait, alarm, complete=false, and back",
        live.stopped,
        overrides={"optimize__silent_s": "40"},
        long_overrides={"optimize__silent_s": "300"},
        covers=(
            "transactions",
            "stopped",
        ),
    ),
    Scenario(
        "clocks",
        "producers ahead by hours to centuries; a worker's clock 65 minutes ahead",
        live.clocks,
        covers=("transactions", "future", "clock", "kill one"),
    ),
    Scenario(
        "growth",
        "partitions added and used at once; two go quiet; kill -9 of all",
        live.growth,
        covers=("transactions", "growth", "kill all"),
    ),
    Scenario(
        "overload",
        "sources three times as fast as the worker: lag grows, memory does not",
        overload.overload,
        overrides={"kafka__batch_records": "200"},  # small bites, so that the slowed worker still answers
        covers=("transactions", "overload", "late"),
        ci=True,
    ),
    Scenario(
        "quota",
        "one producer far over its quota, refused the same way after kill -9",
        overload.quota,
        overrides={"ingest__quota_per_minute": "250"},
        covers=("transactions", "flood", "kill one", "kill all", "hiccup", "late"),
        ci=True,
    ),
    Scenario(
        "fleet",
        "scaling 1 -> 3 -> 2, then a rolling restart",
        faulty.fleet,
        covers=("transactions", "scaling", "rolling", "sigterm", "late"),
    ),
    Scenario(
        "outage",
        "all workers gone for longer than a source may be silent",
        faulty.outage,
        overrides={"optimize__silent_s": "40"},
        covers=("transactions", "outage", "kill all", "late"),
    ),
    Scenario(
        "retention",
        "committed offset behind retention: exit, then accept; and while a worker runs",
        state.retention,
        covers=("transactions", "retention", "kill one"),
        ci=True,
    ),
    Scenario(
        "folder",
        "state folder that cannot be made, full disk, rubbish in the folder",
        state.folder,
        covers=("transactions", "folder", "rubbish", "late"),
    ),
    Scenario(
        "mock",
        "kill -9 and SIGTERM on the mock cluster",
        faulty.mock,
        mock=True,
        overrides={"kafka__broker_wait_s": "5"},  # its group coordinator sometimes refuses a member for good
        covers=("mock", "late"),
    ),
    Scenario(
        "broker",
        "broker kill -9 and restart; broker stopped; then kill -9 of all",
        faulty.broker,
        nodes=1,
        covers=("transactions", "broker killed", "broker paused", "kill all", "late"),
        ci=True,
    ),
    Scenario(
        "leaders",
        "three nodes: leaders of partitions and coordinators of groups killed, stopped, moved; kill -9 of all",
        faulty.leaders,
        nodes=3,
        covers=("transactions", "leader killed", "leader stopped", "coordinator", "leaders moved", "late"),
    ),
    Scenario(
        "recovery",
        "kill -9 of all under live load at 4,000 ev/s: time until caught up; memory",
        measure.recovery,
        alone=True,
        covers=("recovery", "kill all"),
        only_many=True,
    ),
)
