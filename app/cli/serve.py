"""`llm-optimizer serve`: the API over a read model of the public topics."""

import click

from app.cli.options import Options
from app.cli.output import write_json


@click.command
@click.option(
    "--new-key", metavar="ID", help="Print a fresh API key for ID and its entry for api.keys_file; serves not."
)
@click.option("--role", "roles", multiple=True, metavar="ROLE:SERVICE", help="A role of the new key; may be repeated.")
@click.option("--openapi", is_flag=True, help="Print the OpenAPI document of this version; serves not.")
@click.pass_obj
def serve(options: Options, new_key: str | None, roles: tuple[str, ...], *, openapi: bool) -> int:
    """Serve REST, its page (/docs) and gRPC until SIGTERM.

    Any number may run: each keeps its own read model under state.dir. Listens on loopback unless api.auth is required.
    Exit codes: 0 after SIGTERM; 1 a port is taken; 5 no broker answered; 7 topics are missing or wrong; 78 settings,
    keys or a folder cannot be used.
    """
    if new_key is not None:
        return _new_key(new_key, roles)
    if openapi:
        from app.api.openapi import document
        from app.api.routes import ROUTES

        write_json(document(ROUTES))
        return 0
    import asyncio

    from app.adapters.telemetry.log import configure_logging
    from app.api import serving

    settings = options.settings()
    configure_logging(settings.log)
    return asyncio.run(serving.serve(settings))


def _new_key(identity: str, roles: tuple[str, ...]) -> int:
    from app.api.identity import GrantError
    from app.api.keys import new_key

    if not identity.isprintable() or any(mark in identity for mark in '"\\') or not 0 < len(identity) <= 100:
        raise click.BadParameter("1 to 100 printable characters, no quotes", param_hint="--new-key")
    if not roles:
        raise click.UsageError("--new-key needs --role, as in --role viewer or --role operator:chat")
    try:
        secret, entry = new_key(identity, roles)
    except GrantError as error:
        raise click.BadParameter(str(error), param_hint="--role") from None
    click.echo(entry, nl=False)
    click.echo(f"the key, shown only now: {secret}", err=True)
    return 0
