"""`services` and `status`: what there is, and where each service stands now."""

import time
from typing import TYPE_CHECKING

import click
import msgspec

from app.cli.options import Options
from app.cli.output import columns, json_option, write_columns, write_json, write_json_line
from app.cli.reading import follow, glance

if TYPE_CHECKING:
    from app.adapters.readmodel.glance import Glance
    from app.adapters.readmodel.model import Model

ROLES = ("commands", "splits", "optimizations", "aggregates")
NEWEST = {"aggregates": 2_000, "optimizations": 2_000}
"""Enough for some minutes of every service."""
LISTED = {"aggregates": 5_000, "optimizations": 2_000}
"""Enough for a window of every service."""
WINDOWS_S = (900, 300, 60)
"""The traffic that is listed: the longest of these windows that has closed."""
HEADER = ("SERVICE", "MODE", "VERSION", "SERVING", "TRIAL", "COUNTED UP TO", "BEHIND")
NONE_YET = "no service is known yet: apply a document (`llm-optimizer service apply`) or send telemetry"


class Standing(msgspec.Struct, frozen=True):
    """One service. ``closed`` is the end of its newest counted minute, ``behind_s`` its age; None: nothing counted yet.

    ``weights`` by segment; ``trial`` "" when none is open. ``frozen``: the split was frozen by an operator.
    """

    service: str
    mode: str
    version: int
    incumbent: str
    weights: dict[str, dict[str, float]]
    trial: str
    frozen: bool
    closed: str
    behind_s: float | None


@click.command
@click.option("--service", help="Only this service.")
@click.option("--watch", is_flag=True, help="Stay, and show it again whenever it changes, until Ctrl-C.")
@json_option
@click.pass_obj
def status(options: Options, service: str | None, *, watch: bool, as_json: bool) -> None:
    """Show what each service serves now: mode, split, open trial, and how far behind the optimizer is.

    With --watch and --json: one line for each service that changed.
    """
    with glance(options, *ROLES, newest=NEWEST) as filled:
        if watch:
            _watch(filled, service, as_json=as_json)
            return
        rows = standings(filled.model, service)
    if as_json:
        write_json(rows)
    else:
        click.echo("\n".join(_table(rows)))


@click.command
@json_option
@click.pass_obj
def services(options: Options, *, as_json: bool) -> None:
    """List the services: mode, arms, and their traffic in the newest closed 15 minutes (at first 5, or 1)."""
    with glance(options, *ROLES, newest=LISTED) as filled:
        rows = [_listed(filled.model, name) for name in filled.model.names()]
    if as_json:
        write_json(rows)
    elif rows:
        header = (
            "SERVICE",
            "MODE",
            "DOCUMENT",
            "ARMS",
            "SERVES",
            "NEWEST",
            "REQUESTS",
            "ERRORS",
            "COST",
            "P95",
            "QUALITY",
        )
        write_columns(map(_columns, rows), header=header)
    else:
        click.echo(NONE_YET)


class Listed(msgspec.Struct, frozen=True):
    """One service in the list. ``arms``: of its split, else of its document, else as the traffic names them. The
    traffic is of one window of ``window_s`` seconds; None: none is closed yet.
    """

    service: str
    mode: str
    configured: bool
    arms: list[str]
    incumbent: str
    window_s: int | None
    requests: int | None
    errors: int | None
    cost_usd: float | None
    latency_ms_p95: float | None
    quality: float | None


def standings(model: "Model", only: str | None = None) -> list[Standing]:
    """All services, by name, or only one."""
    return [_standing(model, name, time.time()) for name in model.names() if only in {None, name}]


def _standing(model: "Model", name: str, now_s: float) -> Standing:
    state, until_s = model.state(name), model.newest_s(name)
    if state is None:  # between two questions: what is listed is also known
        raise LookupError(name)
    return Standing(
        name,
        state.mode,
        state.version,
        state.incumbent,
        state.weights,
        _trial(state.trial),
        state.frozen,
        state.counted_until or "",
        None if until_s is None else now_s - until_s,
    )


def _trial(trial: dict[str, object] | None) -> str:
    if trial is None:
        return ""
    return f"{trial['arm']} {trial['share']:.0%} against {trial['control_arm']} {trial['control_share']:.0%}"


def _table(rows: list[Standing]) -> list[str]:
    if not rows:
        return [NONE_YET]
    cells = [
        (r.service, _mode(r), r.version, serving(r), r.trial or "-", r.closed or "-", _behind(r.behind_s)) for r in rows
    ]
    return columns(cells, HEADER)


def _mode(row: Standing) -> str:
    return f"{row.mode}, frozen" if row.frozen else row.mode


def serving(row: Standing) -> str:
    """The weights in one line; segments apart only where there are several."""
    parts = {segment: _shares(weights) for segment, weights in row.weights.items()}
    if len(parts) == 1:
        (only,) = parts.values()
        return only
    return "; ".join(f"{segment}: {shares}" for segment, shares in parts.items()) or "-"


def _shares(weights: dict[str, float]) -> str:
    return ", ".join(f"{arm} {weight:.0%}" for arm, weight in weights.items() if weight > 0)


def _behind(behind_s: float | None) -> str:
    if behind_s is None:
        return "-"
    if behind_s < 600:
        return f"{behind_s:.0f} s"
    return f"{behind_s / 60:.0f} min" if behind_s < 6 * 3600 else f"{behind_s / 3600:,.0f} h"


def _watch(filled: "Glance", only: str | None, *, as_json: bool) -> None:
    known: dict[str, Standing] = {}
    terminal = click.get_text_stream("stdout").isatty()
    for _ in follow(filled):
        rows = standings(filled.model, only)
        # what grows older by itself is no news
        changed = [row for row in rows if known.get(row.service) != msgspec.structs.replace(row, behind_s=None)]
        known = {row.service: msgspec.structs.replace(row, behind_s=None) for row in rows}
        if as_json:
            for row in changed:
                write_json_line(row)
        elif changed:
            if terminal:
                click.clear()
            click.echo("\n".join(_table(rows)))


def _listed(model: "Model", name: str) -> Listed:
    from app.adapters.readmodel.spending import traffic

    state = model.state(name)
    seen = next((found for size_s in WINDOWS_S if (found := traffic(model, name, size_s)) is not None), None)
    document, split = model.document(name), model.split(name)
    arms = [arm.name for arm in split.arms] if split else list(document.arm_names) if document else []
    return Listed(
        name,
        state.mode if state else "observe",
        document is not None,
        arms or model.arms_seen(name),
        state.incumbent if state else "",
        *(
            (seen.window_s, seen.requests, seen.errors, seen.cost_usd, seen.latency_ms_p95, seen.quality)
            if seen
            else (None,) * 6
        ),
    )


def _columns(row: Listed) -> tuple[object, ...]:
    def text(value: float | None, shape: str) -> str:
        return "-" if value is None else shape.format(value)

    return (
        row.service,
        row.mode,
        "yes" if row.configured else "no",
        ", ".join(row.arms) or "-",
        row.incumbent or "-",
        "-" if row.window_s is None else f"{row.window_s // 60} min",
        text(row.requests, "{:,}"),
        text(row.errors, "{:,}"),
        text(row.cost_usd, "${:,.2f}"),
        text(row.latency_ms_p95, "{:,.0f} ms"),
        text(row.quality, "{:.3f}"),
    )
