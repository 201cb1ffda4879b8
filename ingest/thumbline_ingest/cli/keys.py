"""`thumbline keys`: the write keys of projects."""

from __future__ import annotations

import click

from thumbline_ingest.keys import KeyStore

from .context import settings_of


@click.group()
def keys() -> None:
    """Make, list and revoke write keys; a running collector follows within two seconds."""


@keys.command()
@click.option("--project", required=True, metavar="NAME", help="Project that the key writes to.")
@click.pass_context
def create(context: click.Context, /, project: str) -> None:
    """Make a key and print it, alone, on standard output; it is stored hashed and cannot be shown again."""
    click.echo(KeyStore(settings_of(context).keys_path).create(project))


@keys.command("list")
@click.pass_context
def list_keys(context: click.Context) -> None:
    """List keys: id, project, when made, when revoked."""
    for key in KeyStore(settings_of(context).keys_path).list():
        click.echo(f"{key.id}  {key.project}  {key.created_at}  {key.revoked_at or ''}".rstrip())


@keys.command()
@click.argument("key_id")
@click.pass_context
def revoke(context: click.Context, /, key_id: str) -> None:
    """Revoke the key with this id."""
    if not KeyStore(settings_of(context).keys_path).revoke(key_id):
        raise click.ClickException(f"no key '{key_id}'; `thumbline keys list` shows the ids")
    click.echo(f"revoked {key_id}", err=True)
