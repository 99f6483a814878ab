"""`llm-optimizer service apply|diff|show|import|reference`: the service document, from a file into force and back.

What is in force is the last configure command on the commands topic; there is no other place it is kept.
"""

import getpass
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click
import msgspec

from app.cli.options import Options
from app.cli.output import json_option, write_columns, write_json

if TYPE_CHECKING:
    from app.core.decision import Change
    from app.core.document import ServiceDocument

file_argument = click.argument("file", type=click.Path(path_type=Path))
policies_option = click.option(
    "--policies",
    "policy_files",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    metavar="FILE.yaml",
    help="Governance policies to put behind the document's own; may be repeated.",
)


@click.group
def service() -> None:
    """Apply, compare and show service documents."""


@service.command
@file_argument
@click.option("--reason", default="", help="Why, for the log of decisions.")
@click.option("--actor", default=None, help="Who says so [default: the user of this machine].")
@policies_option
@json_option
@click.pass_obj
def apply(
    options: Options, file: Path, reason: str, actor: str | None, policy_files: tuple[Path, ...], *, as_json: bool
) -> None:
    """Put the document in FILE (`-` = standard input) into force. Applying it again changes nothing."""
    from app.adapters.kafka.command_log import CommandLog
    from app.core.commands import Command, Configure
    from app.core.document import diff as changes_between

    document = _with_policies(read(file), policy_files)
    log = CommandLog(options.settings())
    changes = changes_between(log.newest_documents().get(document.service), document)
    event = ""
    if changes:
        by = actor if actor is not None else _user()
        event = log.send(
            Command(service=document.service, command="configure", args=Configure(document), actor=by, reason=reason)
        )
    if as_json:
        write_json({"service": document.service, "event": event or None, "changes": changes})
        return
    _print(changes)
    click.echo(f"{document.service}: {'applied' if event else 'already in force, nothing sent'}", err=True)


@service.command
@file_argument
@policies_option
@json_option
@click.pass_obj
def diff(options: Options, file: Path, policy_files: tuple[Path, ...], *, as_json: bool) -> None:
    """Show what applying FILE would change. Changes nothing; exit code 0 either way."""
    from app.adapters.kafka.command_log import CommandLog
    from app.core.document import diff as changes_between

    document = _with_policies(read(file), policy_files)
    changes = changes_between(CommandLog(options.settings()).newest_documents().get(document.service), document)
    if as_json:
        write_json({"service": document.service, "changes": changes})
        return
    _print(changes)
    if not changes:
        click.echo(f"{document.service}: already in force", err=True)


@service.command
@click.argument("name", required=False)
@json_option
@click.pass_obj
def show(options: Options, name: str | None, *, as_json: bool) -> None:
    """Print the document of NAME as TOML, ready to edit and apply; without NAME list the configured services."""
    from app.adapters.kafka.command_log import CommandLog
    from app.core.document import to_object, to_toml

    documents = CommandLog(options.settings()).newest_documents()
    if name is None:
        _list(documents, as_json=as_json)
        return
    document = documents.get(name)
    if document is None:
        known = ", ".join(sorted(documents)) or "none yet"
        raise click.ClickException(f"no document was applied for {name!r}; configured services: {known}")
    if as_json:
        write_json(to_object(document))
    else:
        click.echo(to_toml(document), nl=False)


@service.command("import")
@file_argument
@click.option("--service", "name", default=None, help="Make one service of this name of all deployments.")
@click.option("--into", type=click.Path(path_type=Path, file_okay=False), help="Write NAME.toml files to this folder.")
@click.option("--apply", "applies", is_flag=True, help="Put them into force at once; services that have one are left.")
@click.pass_obj
def import_(options: Options, file: Path, name: str | None, into: Path | None, *, applies: bool) -> None:
    """Make first documents (mode observe) from LiteLLM's configuration FILE (`-` = standard input).

    Each model group becomes a service, its deployments become arms; keys and addresses are not copied. Without --into
    and --apply the documents are printed; several at once need one of the two.
    """
    from app.adapters.integrations import litellm_config
    from app.core.document import DocumentError, to_toml

    text, origin = _text_of(file)
    try:
        deployments = litellm_config.read_deployments(text, origin)
        found = [litellm_config.document(name, deployments)] if name else litellm_config.documents(deployments)
    except DocumentError as error:
        raise click.ClickException(str(error)) from None
    if into is None and not applies and len(found) > 1:
        groups = ", ".join(document.service for document in found)
        raise click.ClickException(
            f"{origin} has {len(found)} model groups ({groups}): add --into FOLDER for a document of each, --apply to "
            "put them into force, or --service NAME to compare all their deployments as one service"
        )
    if into is not None:
        _write(found, into, applies=applies)
    if applies:
        _apply_new(options, found, origin)
    elif into is None:
        click.echo(to_toml(found[0]), nl=False)


def _write(found: "list[ServiceDocument]", into: Path, *, applies: bool) -> None:
    from app.core.document import to_toml

    into.mkdir(parents=True, exist_ok=True)
    for document in found:
        path = into / f"{quote(document.service, safe=' @:+')}.toml"
        path.write_text(to_toml(document), encoding="utf-8")
        click.echo(f"{path} (arms: {', '.join(document.arm_names)})")
    if not applies:
        click.echo(
            f"put each into force with: llm-optimizer service apply {shlex.quote(str(into))}/NAME.toml", err=True
        )


def _apply_new(options: Options, found: "list[ServiceDocument]", origin: str) -> None:
    """Documents of services that have none. One that a person wrote is never replaced by an imported one."""
    from app.adapters.kafka.command_log import CommandLog
    from app.core.commands import Command, Configure

    log = CommandLog(options.settings())
    known = log.newest_documents()
    for document in found:
        name = document.service
        if name in known:
            click.echo(f"{name}: has a document already, left as it is (`llm-optimizer service show {name}`)")
            continue
        reason = f"imported from {origin}"
        log.send(Command(service=name, command="configure", args=Configure(document), actor=_user(), reason=reason))
        click.echo(f"{name}: {document.mode}, arms {', '.join(document.arm_names)}")
    click.echo(f"next: {options.command('worker')}, and `{options.command('status', '--watch')}` beside it", err=True)


@service.command
def reference() -> None:
    """Print the reference page of the service document: every key, default and bound (Markdown)."""
    from app.core.document.reference import reference as page

    click.echo(page(), nl=False)


def _with_policies(document: "ServiceDocument", files: tuple[Path, ...]) -> "ServiceDocument":
    from app.adapters.codec.policies import read_policies, with_policies

    for file in files:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeError) as error:
            raise click.ClickException(f"cannot read {file}: {error}") from None
        document = with_policies(document, read_policies(text, str(file)), str(file))
    return document


def read(file: Path) -> "ServiceDocument":
    from app.core.document import DocumentError, parse_toml

    try:
        return parse_toml(*_text_of(file))
    except DocumentError as error:
        raise click.ClickException(str(error)) from None


def _text_of(file: Path) -> tuple[str, str]:
    """The text of ``file`` and what to call it in errors."""
    try:
        with click.open_file(str(file), encoding="utf-8") as stream:
            return stream.read(), "standard input" if str(file) == "-" else str(file)
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"cannot read {file}: {error}") from None


def _list(documents: "dict[str, ServiceDocument]", *, as_json: bool) -> None:
    rows = [
        {"service": d.service, "mode": d.mode, "policy": d.policy, "incumbent": d.incumbent, "arms": len(d.arms)}
        for _, d in sorted(documents.items())
    ]
    if as_json:
        write_json(rows)
    elif rows:
        write_columns([list(row.values()) for row in rows], header=[name.upper() for name in rows[0]])
    else:
        click.echo("no service document was applied yet: llm-optimizer service apply FILE", err=True)


_SIGNS = {"add": "+", "remove": "-", "replace": "~"}


def _print(changes: "list[Change]") -> None:
    write_columns([(_SIGNS[c.change_type], c.parameter, _values(c)) for c in changes])


def _values(change: "Change") -> str:
    if change.change_type == "replace":
        return f"{_text(change.old)} -> {_text(change.new)}"
    return _text(change.new if change.change_type == "add" else change.old)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _user() -> str:
    """Login name; empty where the system knows none (a container with a bare user id)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
