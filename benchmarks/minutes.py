"""A service minute by minute without Kafka: requests drawn by the split in force, summed as ingest would, and stepped.

Draws are of numpy, not of request ids: thousands of service-hours a minute. The brain itself is the product's
(`app.core.service.step` on closed panes).
"""

from collections.abc import Mapping

import msgspec
import numpy as np

from app.core import commands
from app.core.assign import expected_shares
from app.core.cell import SESSION_GROUPS, Cell, CellKey, Group, Late, Score, Summary, add_cell
from app.core.commands import COMMAND, Command
from app.core.document import ServiceDocument
from app.core.facts import ControlFact
from app.core.outputs import Output
from app.core.pane import ClosedPane
from app.core.row import new_row
from app.core.service import step

Array = np.ndarray
START_S = 1_699_920_000  # midnight, UTC


class Answers(msgspec.Struct, frozen=True):
    """What an arm would answer to the requests of a minute: score (0-1), cost (USD), latency (ms), one entry each."""

    quality: Array
    cost: Array
    latency: Array


class Drawn(msgspec.Struct, frozen=True):
    """One minute as it went: the arm of each request by index into the document's arms, and what was answered."""

    arm: Array
    quality: Array
    cost: Array


class Service:
    """One service in mode auto. ``row`` may be replaced between minutes."""

    def __init__(self, document: ServiceDocument, seed: int, *, score_rate: float = 1.0) -> None:
        self.document, self.rng, self.score_rate = document, np.random.default_rng(seed), score_rate
        self.row, self.outputs = new_row(document.service, None), list[Output]()
        self.minute, self._commands = START_S // 60, 0
        self.order("configure", commands.Configure(document))

    def order(self, verb: commands.Verb, args: commands.Args) -> None:
        """A command, obeyed at once."""
        command = Command(service=self.document.service, command=verb, args=args, actor="bench")
        fact = ControlFact(
            "c", self._commands, command.service, COMMAND, f"c{self._commands}", self.now_s, commands.to_json(command)
        )
        self._commands += 1
        self.row, said = step(self.row, fact, self.now_s)
        self.outputs += said

    @property
    def now_s(self) -> int:
        return 60 * self.minute

    def pass_minute(
        self,
        answers: Mapping[str, Answers],
        input_tokens: Array,
        *,
        session: Array | None = None,
        group: Array | None = None,
        segment: Array | None = None,
    ) -> Drawn:
        """The requests of a minute are assigned, answered and counted; the row is stepped. ``session`` numbers the
        sessions, which stay on one draw, and ``group`` is the session group, ``segment`` the index into the declared
        segments of each request.
        """
        names, n = self.document.arm_names, len(input_tokens)
        u = self.rng.random(n) if session is None else self.rng.random(int(session.max(initial=-1)) + 1)[session]
        arm, scored, cells = np.zeros(n, int), self.rng.random(n) < self.score_rate, dict[CellKey, Cell]()
        for s, of_segment in enumerate(self.document.segment_names):
            here = np.ones(n, bool) if segment is None else segment == s
            shares = self._shares(of_segment)
            place = np.minimum(np.searchsorted(np.cumsum(list(shares.values())), u, side="right"), len(shares) - 1)
            for k, (slice_, name) in enumerate(shares):
                mine = here & (place == k)
                if mine.any():
                    arm[mine] = names.index(name)
                    found = answers[name]
                    columns = (found.quality[mine], scored[mine], found.cost[mine], found.latency[mine])
                    cells[CellKey(name, of_segment, slice_, self.row.version)] = _cell(
                        *columns, input_tokens[mine], None if group is None else group[mine]
                    )
        self.step(cells)
        quality, cost = (np.choose(arm, [getattr(answers[a], field) for a in names]) for field in ("quality", "cost"))
        return Drawn(arm, quality, cost)

    def step(self, cells: dict[CellKey, Cell]) -> None:
        """Close the pane of these cells."""
        pane = ClosedPane(self.minute, True, 1, Late(), cells, {})
        for key, cell in sorted(cells.items()):
            add_cell(pane.arms.setdefault((key.arm, key.segment), Summary.empty()).cell, cell)
        self.minute += 1
        self.stepped(pane)

    def stepped(self, pane: ClosedPane) -> None:
        """What the brain makes of ``pane``."""
        self.row, said = step(self.row, pane, self.now_s)
        self.outputs += said

    def _shares(self, segment: str) -> dict[tuple[str, str], float]:
        """Share of the requests by (slice, arm)."""
        split = self.row.split
        if split is None:
            return {("main", self.row.incumbent): 1.0}
        return {(slice_, arm): share for (slice_, arm), share in expected_shares(split, segment).items()}


def _cell(quality: Array, scored: Array, cost: Array, latency: Array, tokens: Array, group: Array | None) -> Cell:
    q, logs, n = quality[scored], np.log(latency), len(cost)
    cell = Cell(
        n=n, latency_ms=float(latency.sum()), log_latency=float(logs.sum()), log_latency_sq=float((logs**2).sum()),
        input_tokens=int(tokens.sum()), input_tokens_sq=float((tokens.astype(float) ** 2).sum()),
        cost_n=n, cost_usd=float(cost.sum()), cost_sq=float((cost**2).sum()), input_cost=float((tokens * cost).sum()),
        quality={"judge": Score(len(q), float(q.sum()), float((q * q).sum()))},
    )  # fmt: skip
    if group is not None:
        cell.in_session = n
        of = [np.bincount(group, w, SESSION_GROUPS).tolist() for w in
              (None, logs, cost, scored, quality * scored, tokens)]  # fmt: skip
        for g, (count, log, usd, scores, total, x) in enumerate(zip(*of, strict=True)):
            if count:
                cell.groups[g] = Group(int(count), 0, log, usd, int(scores), total, int(x))
    return cell
