"""Shows a run: a live table on a terminal, one line an event anywhere else."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import IO, TYPE_CHECKING, Protocol, Self

from app.adapters.readmodel.told import Told
from app.core.events import rfc3339
from app.sim.scene import ArmScene, Scene, ServiceScene

if TYPE_CHECKING:
    from rich.console import RenderableType

NEWEST = 8
"""Decisions and outcomes the live view keeps in sight."""
REFRESH_S = 0.2
SIGNS = {
    "decided": "*",
    "proposed": "?",
    "refused": "-",
    "verified": "+",
    "completed": "=",
    "failed": "!",
    "rolled-back": "<",
}


class View(Protocol):
    """Told what happens, in order; used in a ``with`` block."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def say(self, line: str) -> None: ...
    def tell(self, event: Told) -> None: ...
    def show(self, scene: Callable[[], Scene]) -> None: ...


class PlainView:
    """Lines: every decision, every outcome that is not mere acceptance, and the state of affairs each event hour."""

    def __init__(self, echo: Callable[[str], None]) -> None:
        self._echo = echo
        self._hour = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def say(self, line: str) -> None:
        """Something about the run itself."""
        self._echo(line)

    def tell(self, event: Told) -> None:
        """A decision or outcome."""
        if event.status != "accepted":
            self._echo(line_of(event))

    def show(self, scene: Callable[[], Scene]) -> None:
        """The present state; written once an event hour."""
        now = scene()
        hour = (now.now_s - now.start_s) // 3_600
        if hour > self._hour:
            self._hour = hour
            for service in now.services:
                arms = ", ".join(_short(arm) for arm in service.arms if arm.requests or arm.share)
                self._echo(
                    f"{rfc3339(now.now_s)[11:16]}   {service.service} v{service.version}: {arms or 'no traffic yet'}"
                )


class LiveView:
    """A table per service that changes in place, the newest decisions below it."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(file=stream, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._told: list[Told] = []
        self._status = ""
        self._drawn_s = 0.0

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def say(self, line: str) -> None:
        """Something about the run itself."""
        self._live.console.print(line, markup=False)

    def tell(self, event: Told) -> None:
        """A decision or outcome."""
        if event.status != "accepted":
            self._told = [*self._told[-NEWEST + 1 :], event]

    def show(self, scene: Callable[[], Scene]) -> None:
        """The present state; drawn a few times a second at most."""
        if time.monotonic() - self._drawn_s < REFRESH_S:
            return
        self._live.update(self._picture(scene()), refresh=True)
        self._drawn_s = time.monotonic()

    def _picture(self, scene: Scene) -> "RenderableType":
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.text import Text

        hours = (scene.now_s - scene.start_s) / 3_600
        head = Text(f"event time {rfc3339(scene.now_s)}   {hours:4.1f} h   {scene.requests:,} requests", style="bold")
        if scene.gateway_down:
            head.append("   the gateway refuses configuration", style="bold red")
        decisions = [
            Text(line_of(event), style=_style(event), overflow="ellipsis", no_wrap=True) for event in self._told
        ]
        return Group(head, ProgressBar(completed=scene.done * 100), *map(_table, scene.services), *decisions)


def line_of(event: Told) -> str:
    """One line about a decision or outcome."""
    sign = SIGNS.get(event.status, " ")
    what = event.action if event.is_decision else event.status
    return f"{event.time[11:16]} {sign} {event.service} {what}: {event.rationale or _observed(event)}"


def _observed(event: Told) -> str:
    share, wanted = event.data.get("observed_share"), event.data.get("expected_share")
    if share is None or wanted is None:
        return f"version {event.data.get('version', '?')}"
    return f"{share:.1%} of {event.data.get('requests', 0)} requests, {wanted:.1%} wanted"


def _short(arm: ArmScene) -> str:
    share = "" if arm.share is None else f" {arm.share:.0%}"
    cost = "" if arm.usd_per_1000 is None else f", ${arm.usd_per_1000:.2f} per 1000"
    return f"{arm.arm}{share}{cost}{_quality(arm, ', quality ')}"


def _quality(arm: ArmScene, before: str = "") -> str:
    if arm.quality is None or arm.quality_half_width is None:
        return ""
    return f"{before}{arm.quality:.3f} ± {arm.quality_half_width:.3f}"


def _table(service: ServiceScene) -> "RenderableType":
    from rich.table import Table

    title = f"{service.service}  version {service.version}" if service.version else f"{service.service}  observed"
    table = Table(title=title, title_justify="left", caption=service.trial or None, caption_justify="left")
    table.add_column("arm")
    for name in ("share", "requests", "USD per 1000", "p95 ms", "quality (95 %)"):
        table.add_column(name, justify="right", min_width=9)
    for arm in service.arms:
        cost, slow = arm.usd_per_1000, arm.latency_ms_p95
        table.add_row(
            arm.arm,
            "" if arm.share is None else f"{arm.share:.1%}",
            f"{arm.requests:,}" if arm.requests else "",
            "" if cost is None else f"{cost:.2f}",
            "" if slow is None else f"{slow:,.0f}",
            _quality(arm),
        )
    return table


def _style(event: Told) -> str:
    if event.action == "roll-back" or event.status in {"failed", "rolled-back"}:
        return "red"
    return "green" if event.status == "verified" or event.action in {"promote", "admit"} else ""
