"""A minute in which a source is missing is spend, but proof of nothing."""

import numpy as np
import pytest

from app.core.document import Arm, ServiceDocument, completed
from app.core.document.limits import Budget
from app.core.pane import ClosedPane
from benchmarks.minutes import Answers, Service


class Holed(Service):
    """Every pane of ``holes`` comes without one of its sources."""

    holes: frozenset[int] = frozenset()

    def stepped(self, pane: ClosedPane) -> None:
        whole = self.minute not in self.holes
        super().stepped(ClosedPane(pane.number, whole, pane.sources, pane.late, pane.cells, pane.arms))


@pytest.fixture
def service() -> Holed:
    arms = (Arm(name="a"), Arm(name="b"))
    document = ServiceDocument(
        service="s", mode="auto", policy="mix", arms=arms, holdout_share=0.2, budget=Budget(day_usd=1e6)
    )
    return Holed(completed(document), 1)


def lived(service: Holed, minutes: int) -> None:
    for _ in range(minutes):
        answers = {
            name: Answers(np.full(50, 0.8), np.full(50, usd), np.full(50, 900.0))
            for name, usd in (("a", 0.01), ("b", 0.001))
        }
        service.pass_minute(answers, np.full(50, 100))


def test_it_is_left_out_of_savings_quality_and_estimates_and_counted(service: Holed) -> None:
    lived(service, 3)
    before = service.row
    service.holes = frozenset(range(service.minute, service.minute + 5))
    lived(service, 2)
    after = service.row
    assert after.savings.n == before.savings.n > 0
    assert after.savings.incomplete == 100
    assert after.quality_kept == before.quality_kept
    assert after.off_policy == before.off_policy
    assert after.budgeting.day.usd > before.budgeting.day.usd
    service.holes = frozenset()
    lived(service, 1)
    assert service.row.savings.n == before.savings.n + 50
