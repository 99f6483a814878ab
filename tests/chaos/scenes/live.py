"""Event time is the clock's: clocks lie, topics grow, partitions stop, sources are quiet."""

import time

import msgspec

from app.adapters.kafka.admin import KafkaAdmin
from tests.chaos.account import Account, until
from tests.chaos.faults import kill_all
from tests.chaos.scenario import Size
from tests.chaos.traffic import Plan
from tests.chaos.verdict import Verdict
from tests.chaos.world import READY_S, World
from tests.e2e.harness.deployment import LATENESS_S, SESSION_S
from tests.e2e.harness.waits import until as eventually

RATE = 400
SILENT = "llm_optimizer_silent_sources"
CLOSED_S = LATENESS_S + 3 * SESSION_S
"""How long after its end a minute has surely closed, also when a source is idle."""


def _plan(seed: int, seconds: float) -> Plan:
    return Plan(
        events=int(seconds * RATE),
        rate=RATE * 1.25,
        seed=seed,
        live=True,
        commands=10,
        late=0.0,
        base_s=time.time(),
        behind=0.0,
    )


def clocks(world: World, size: Size) -> Verdict:
    """Producers hours to centuries ahead; one worker an hour ahead, which soon owns everything."""
    world.start(1)
    world.start(1, world.injected(clock_s="3900"))
    world.await_ready()
    seconds = size.of(85, 300)
    with world.traffic(msgspec.structs.replace(_plan(world.seed, seconds), future=0.001)):
        world.say("one worker's clock is 65 minutes ahead")
        time.sleep(15)
        world.say("kill -9 of the other one: the wrong clock owns everything")
        world.workers.pop(0).kill()
    return _judge(world)


def growth(world: World, size: Size) -> Verdict:
    """Partitions are added to an evidence topic and used at once; another goes quiet, then all workers are killed."""
    world.start(2)
    world.await_ready()
    with world.traffic(_plan(world.seed, size.of(85, 300))) as sender:
        time.sleep(8)
        KafkaAdmin(world.settings).grow(world.settings.topics.responses, 10)
        sender.grow("responses", 10)
        world.say("responses grow from 7 to 10 partitions")
        time.sleep(20)
        sender.quiet = {("responses", 1), ("feedback", 0)}
        world.say("two partitions go quiet")
        time.sleep(4)
        world.say("kill all")
        kill_all(world)
    return _judge(world)


def _judge(world: World) -> Verdict:
    """Every minute that has ended, once it can have closed."""
    end_s = time.time()
    until_s = end_s // 60 * 60
    time.sleep(max(0.0, until_s + CLOSED_S - time.time()))
    return world.judge(until(world.account(), int(until_s)), until_s=until_s)


def stopped(world: World, size: Size) -> Verdict:
    """One partition has no leader: closes wait, the alarm shows, then they come without it, marked; then it is back.

    Minutes marked as incomplete hold everything but that partition; all others hold everything.
    """
    silent_s, source = world.settings.optimize.silent_s, f"{world.settings.topics.responses}-2"
    file = world.folder / "stopped"
    world.start(1, world.injected(stop_file=str(file)))
    world.await_ready()
    minute_s = (time.time() + 20) // 60 * 60 + 60
    with world.traffic(_plan(world.seed, minute_s - time.time() + silent_s + 40)) as sender:
        time.sleep(minute_s - 5 - time.time())
        file.write_text(source)
        world.say(f"{source} stops")
        world.await_metric(SILENT, lambda sources: sources > 0, "no alarm for the stopped source")
        world.say(f"alarm: {SILENT} is above 0")
        time.sleep(max(0.0, minute_s + LATENESS_S + 5 - time.time()))
        early = [key for key in world.outputs() if key[1] == minute_s - 60]
        eventually(lambda: bool(world.incomplete()), silent_s + READY_S, "no close came without the stopped source")
        world.say("minutes come with complete=false")
        file.unlink()
        sender.stop.set()
    world.say("the source is back")
    world.await_metric(SILENT, lambda sources: sources == 0, "the alarm does not end")
    end_s = time.time() // 60 * 60
    time.sleep(max(0.0, end_s + CLOSED_S - time.time()))
    incomplete = world.incomplete()
    expected = _without(world.account(), world.account(source), incomplete)
    verdict = world.judge(until(expected, int(end_s)), until_s=end_s)
    world.notes["minutes of a service without the stopped source"] = f"{len(incomplete)} of {_minutes(expected)}"
    verdict.violations["closes wait"] = [f"{key} was closed without the stopped source, too early" for key in early]
    return verdict


def _without(whole: Account, rest: Account, incomplete: set[tuple[str, int]]) -> Account:
    """Incomplete minutes as ``rest`` has them, the others as ``whole`` has them."""
    rows = {key: row for key, row in whole.rows.items() if key[:2] not in incomplete}
    rows |= {key: row for key, row in rest.rows.items() if key[:2] in incomplete}
    late = {key: n for key, n in whole.late.items() if key not in incomplete}
    late |= {key: n for key, n in rest.late.items() if key in incomplete}
    return msgspec.structs.replace(whole, rows=rows, late=late)


def _minutes(account: Account) -> int:
    return len({key[:2] for key in account.rows})
