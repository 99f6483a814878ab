"""The command `llm-optimizer`: global options, lazily loaded subcommands, errors as one clear line, exit codes.

Exit codes: 0 done; 1 failed; 2 wrong usage; 78 settings that cannot be used; 130 interrupted.
Data goes to standard output, logs and errors to standard error.
"""

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from app.cli.options import Options

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

EXIT_FAILED, EXIT_USAGE, EXIT_CONFIGURATION, EXIT_INTERRUPTED = 1, 2, 78, 130

COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "demo": ("app.cli.demo:demo", "Show the whole loop on this machine: no Docker, no JVM, under two minutes."),
        "worker": ("app.cli.worker:worker", "Run the agents: ingest, optimize, actuate."),
        "serve": ("app.cli.serve:serve", "Serve the API: REST and gRPC over a read model of the topics."),
        "service": ("app.cli.service:service", "Apply, compare, show and import service documents."),
        "services": ("app.cli.status:services", "List the services with their traffic."),
        "status": ("app.cli.status:status", "Show what each service serves now."),
        "decisions": ("app.cli.decisions:decisions", "List decisions and their outcomes."),
        "explain": ("app.cli.decisions:explain", "Explain one decision with its evidence."),
        "trials": ("app.cli.trials:trials", "List trials: who was tried, how it ended and why."),
        "experiment": ("app.cli.trials:experiment", "Order an experiment, list them, stop one."),
        "savings": ("app.cli.money:savings", "Show what each service is proven to save."),
        "budget": ("app.cli.money:budget", "Show how much of each budget is spent."),
        "export": ("app.cli.export:export", "Write decisions, windows, trials... as CSV, JSON lines or Parquet."),
        "what-if": ("app.cli.what_if:what_if", "Decide one decision again with other weights or limits."),
        "replay": ("app.cli.replay:replay", "Decide again from recorded facts, and compare."),
        "detect": ("app.cli.detect:detect", "Score a series of a CSV file for anomalies."),
        "simulate": ("app.cli.simulate:simulate", "Play a scenario against the optimizer, without Kafka."),
        "backtest": ("app.cli.backtest:backtest", "Play a routing policy over a table of requests."),
        "pause": ("app.cli.control:pause", "Start no new change for a service."),
        "resume": ("app.cli.control:resume", "Lift pause and freeze."),
        "freeze": ("app.cli.control:freeze", "Stop every change but reverts: the kill switch."),
        "promote": ("app.cli.control:promote", "Take the open trial to 100 % now."),
        "abort": ("app.cli.control:abort", "End the open trial without a verdict."),
        "rollback": ("app.cli.control:rollback", "Go back to what was served before the last change."),
        "set-mode": ("app.cli.control:set_mode", "Set how far a service may act: observe to auto."),
        "share-budget": ("app.cli.control:share_budget", "Set a service's part of its group's budget."),
        "approve": ("app.cli.control:approve", "Say yes to a proposed decision."),
        "reject": ("app.cli.control:reject", "Say no to a proposed decision."),
        "optimize-now": ("app.cli.control:optimize_now", "Look for a change now, without waiting for the main loop."),
        "rebaseline": ("app.cli.control:rebaseline", "Count savings afresh, against what serves now."),
        "topics": ("app.cli.topics:topics", "Show and make the Kafka topics."),
        "config": ("app.cli.config:config", "Show the settings with their origin, or validate them."),
        "doctor": ("app.cli.doctor:doctor", "Check this machine, the settings and the broker."),
        "completion": ("app.cli.completion:completion", "Print the completion script of bash, zsh or fish."),
        "version": ("app.cli.version:version", "Print the versions of what is installed."),
    }
)
"""Name -> (where the click command is, its line in `--help`). Nothing is imported until the command runs."""


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports the one that is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """Names and lines of the table: what a shell asks at every Tab imports no command."""
        from click.shell_completion import CompletionItem

        found = [CompletionItem(name, help=line) for name, (_, line) in COMMANDS.items() if name.startswith(incomplete)]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 78 settings that cannot be used, 130 interrupted.",
)
@click.option("--config", type=click.Path(path_type=Path), help="TOML file of settings [env: LLM_OPTIMIZER_CONFIG].")
@click.option(
    "--set",
    "flags",
    multiple=True,
    metavar="SECTION.FIELD=VALUE",
    help="Override one setting; may be repeated. `llm-optimizer config show --docs` lists them.",
)
@click.option("--debug", is_flag=True, help="Show the traceback of an unexpected error.")
@click.pass_context
def cli(ctx: click.Context, config: Path | None, flags: tuple[str, ...], *, debug: bool) -> None:
    """Learn from LLM telemetry which model, prompt and parameters serve best, and change the gateway safely."""
    ctx.obj = Options(config=config, flags=_flags(flags), debug=debug)


def _flags(given: tuple[str, ...]) -> dict[str, str]:
    pairs = [item.partition("=") for item in given]
    for name, equals, _ in pairs:
        if not equals or "." not in name:
            raise click.UsageError(f"--set {name}: write it as SECTION.FIELD=VALUE, as in --set web.port=8081")
    return {name.strip().lower(): value for name, _, value in pairs}


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the installed commands: run, then leave with the documented exit code."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    try:
        result: Any = cli.main(arguments, prog_name="llm-optimizer", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        _say("interrupted")
        return EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001  # the last place where an error can become a clear line
        return _failed(error, debug="--debug" in arguments)
    return result if isinstance(result, int) else 0


def _failed(error: Exception, *, debug: bool) -> int:
    from app.settings import SettingsError

    if isinstance(error, SettingsError):
        for problem in error.problems:
            _say(f"settings: {problem}")
        return EXIT_CONFIGURATION
    if debug:
        raise error
    if type(error).__name__ == "KafkaException":  # by name: no client is imported for commands that need none
        _say(f"Kafka says: {_of_kafka(error)}; `llm-optimizer doctor` looks at broker, credentials and topics")
        return EXIT_FAILED
    ours = type(error).__module__.split(".")[0] in {"app", "agents", "tables"}
    unexpected = f"unexpected {type(error).__name__}: {error} (run again with --debug for the traceback)"
    _say(str(error) if ours or isinstance(error, OSError) else unexpected)
    return EXIT_FAILED


def _of_kafka(error: Exception) -> str:
    """What a Kafka client's error says; its argument knows it in words."""
    reason = error.args[0] if error.args else error
    return str(reason.str()) if hasattr(reason, "str") else str(reason)


def _say(line: str) -> None:
    click.echo(f"llm-optimizer: {line}", err=True)


if __name__ == "__main__":
    main()
