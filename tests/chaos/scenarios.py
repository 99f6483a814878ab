"""The scenarios by name."""

from tests.chaos.scenario import Scenario
from tests.chaos.scenes import faulty, live, measure, state

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "processes",
        "drawn by seed: kill -9 of an agent, a worker, all; SIGTERM; zombies; hiccups; changelogs compacted hard",
        faulty.processes,
    ),
    Scenario(
        "stopped",
        "a partition without a leader: closes wait, alarm, complete=false, and back",
        live.stopped,
        overrides={"optimize__silent_s": "40"},
    ),
    Scenario("clocks", "producers ahead by hours to centuries; a worker's clock 65 minutes ahead", live.clocks),
    Scenario("growth", "partitions added and used at once; two go quiet; kill -9 of all", live.growth),
    Scenario("fleet", "scaling 1 -> 3 -> 2, then a rolling restart", faulty.fleet),
    Scenario(
        "outage",
        "all workers gone for longer than a source may be silent",
        faulty.outage,
        overrides={"optimize__silent_s": "25"},
    ),
    Scenario(
        "retention", "committed offset behind retention: exit, then accept; and while a worker runs", state.retention
    ),
    Scenario("folder", "state folder that cannot be made, full disk, rubbish in the folder", state.folder),
    Scenario(
        "mock",
        "kill -9 and SIGTERM on the mock cluster",
        faulty.mock,
        mock=True,
        overrides={"kafka__broker_wait_s": "5"},  # its group coordinator sometimes refuses a member for good
    ),
    Scenario("broker", "broker kill -9 and restart; broker stopped; then kill -9 of all", faulty.broker, alone=True),
    Scenario(
        "recovery",
        "kill -9 of all under live load at 4,000 ev/s: time until caught up; memory",
        measure.recovery,
        alone=True,
    ),
)
