"""Every rule of the engines is needed: taken out of the source one at a time, the exactness property must break.

A rule that could be removed without a failing seed would have to go. Each case names the rule, the module and the
text that implements it; the property is the one of ``test_exactness``.
"""

import inspect
import sys
from types import ModuleType

import msgspec
import pytest

from app.core import clocks, facts_records, fold, merge, table
from tests.core.engine import test_exactness as exactness
from tests.core.engine import world

pytestmark = pytest.mark.simulation

SEEDS = 60
LIKELY = (0, 2, 3, 7, 10, 12, 16, 222)
"""Seeds that were seen to break a rule, tried first: nothing but time depends on it."""

O7_TEST = " or fact.offset <= kept.control.get(fact.source, -1):"
O7 = f"""{O7_TEST}
                continue
            control = {{**kept.control, fact.source: fact.offset}}
            if order in kept.orders:"""
"""A repeated fact that is a command would also be known by its id, so both tests are taken out."""

RULES = {
    "I1 duplicates are found by id": (fold, "if seen in pane.ids:", "if False:"),
    "I1 ids name their source": (fold, "hash((event.source, event.id))", "hash(event.id)"),
    "I2 late events are no statistics": (fold, "late = number <= self._closed", "late = False"),
    "I3a panes done are not folded again": (fold, "if number > self._done:", "if True:"),
    "I3b watermark as just before the commit offset": (fold, "self._marks(*before)", "self._marks(self._watermark, self._closed)"),
    "I3c commit at the first offset of the oldest open pane": (fold, "if pane.first < offset:", "if False:"),
    "I3d done never goes back": (fold, "max(self._closed, self._done)", "self._closed"),
    "I4 the last record of a flush carries the watermark": (
        facts_records,
        "head.watermark if i == last else None",
        "head.watermark",
    ),
    "I7 the final partial is sent": (fold, "full = final or", "full ="),
    "O1 the highest hwm wins": (merge, "if partial.hwm < known.hwm or (partial.hwm == known.hwm and known.full):", "if False:"),
    "O2 a mutation happens once": (merge, "if kept is None or offset <= kept.applied:", "if kept is None:"),
    "O2 a command happens once per facts offset": (merge, "offset <= kept.applied or fact.offset", "fact.offset"),
    "O3 start from the writer's own meta row": (merge, "self._clocks = _decode_clocks(services[key])", "pass"),
    "O3 the meta row comes after the rows": (table, "return (*rows, *extra,", "return (*extra, *rows,"),
    "O4 a source counts once the log declares it": (clocks, "for topic, count in fact.topology.items():", "for topic, count in ():"),
    "O5a every incarnation has its own keys": (table, "self._writer = writer.encode()", 'self._writer = b"w"'),
    "O5b the first cut rewrites loaded rows": (table, "self._changed = set(self.values)", "self._changed = set()"),
    "O5c the largest applied wins": (table, "kept.applied > known.applied", "False"),
    "O5d old keys go only after an accepted commit names us": (merge, "if point.metadata == self.writer:", "if True:"),
    "O5e a row is loaded beside no older windows": (merge, "return kept.windows <= self._windows_of(name).applied", "return True"),
    "O6 outputs before rows": (merge, "phases = (outputs, self._windows.cut(), self._rows.cut((meta_row,)))",
                              "phases = (self._windows.cut(), self._rows.cut((meta_row,)), outputs)"),
    "O6 windows before rows": (merge, "phases = (outputs, self._windows.cut(), self._rows.cut((meta_row,)))",
                               "phases = (outputs, self._rows.cut((meta_row,)), self._windows.cut())"),
    "O7 a control fact happens once per source offset": (merge, O7, O7.replace(O7_TEST, ":").replace("order in", "'' and")),
    "new rows are made from a row that is written last": (table, "s == self._last, s", "s"),
    "O8 deadlines pass without traffic": (merge, "panes.keys() | self._due(now_s)", "panes.keys()"),
}  # fmt: skip


@pytest.fixture(autouse=True)
def small_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in ``test_exactness``."""
    monkeypatch.setattr(facts_records, "RECORD_BYTES", 1)


def without(module: ModuleType, text: str, instead: str) -> ModuleType:
    """A copy of ``module`` with ``text`` replaced."""
    source = inspect.getsource(module)
    assert text in source, f"{module.__name__} no longer contains {text!r}"
    copy = ModuleType(module.__name__ + "_without")
    sys.modules[copy.__name__] = copy  # msgspec resolves annotations through sys.modules
    exec(compile(source.replace(text, instead), copy.__name__, "exec"), copy.__dict__)
    return copy


def install(monkeypatch: pytest.MonkeyPatch, rule: str) -> None:
    module, text, instead = RULES[rule]
    copy = without(module, text, instead)
    if module is fold:
        monkeypatch.setattr(world, "Fold", copy.Fold)
    elif module is facts_records:
        monkeypatch.setattr(copy, "RECORD_BYTES", 1)
        monkeypatch.setattr(fold, "partial_records", copy.partial_records)
    elif module is clocks:
        monkeypatch.setattr(merge, "Clocks", copy.Clocks)
        monkeypatch.setattr(merge, "_decode_clocks", msgspec.msgpack.Decoder(copy.Clocks).decode)
    elif module is merge:
        monkeypatch.setattr(world, "Merge", copy.Merge)
    else:
        monkeypatch.setattr(merge, "Table", copy.Table)


def broken(seed: int) -> bool:
    try:
        exactness.test_crashes_and_zombies_in_ingest_change_no_count(seed)
        exactness.test_crashes_and_zombies_in_optimize_change_no_byte(seed)
    except (AssertionError, LookupError, RuntimeError):
        return True
    return False


@pytest.mark.parametrize("rule", RULES)
def test_without_the_rule_the_property_breaks(monkeypatch: pytest.MonkeyPatch, rule: str) -> None:
    install(monkeypatch, rule)
    assert any(broken(seed) for seed in (*LIKELY, *range(SEEDS))), f"{rule}: {SEEDS} seeds pass without it"
