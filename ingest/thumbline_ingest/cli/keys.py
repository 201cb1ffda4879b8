"""`thumbline keys`: the write keys of projects."""

from __future__ import annotations

import click

from thumbline_ingest.keys import KeyInfo, KeyStore

from .context import settings_of


@click.group()
def keys() -> None:
    """Make, list, rotate and revoke write keys; a running collector follows within two seconds."""


@keys.command()
@click.option("--project", required=True, metavar="NAME", help="Project that the key writes to.")
@click.pass_context
def create(context: click.Context, /, project: str) -> None:
    """Make a key and print it, alone, on standard output; it is stored hashed and cannot be shown again."""
    click.echo(KeyStore(settings_of(context).keys_path).create(project))


@keys.command("list")
@click.pass_context
def list_keys(context: click.Context) -> None:
    """List keys: id, project, when made, and whether and until when it and its receipts hold."""
    for key in KeyStore(settings_of(context).keys_path).list():
        click.echo(f"{key.id}  {key.project}  {key.created_at}  {_state(key)}")


@keys.command()
@click.argument("key_id")
@click.option(
    "--overlap-days",
    type=click.FloatRange(0, 365),
    default=8.0,
    show_default=True,
    help="Days for which the old key, and receipts minted with it, still hold.",
)
@click.pass_context
def rotate(context: click.Context, /, key_id: str, overlap_days: float) -> None:
    """
    Make a key that takes the place of the one with this id, and print it, alone, on standard output.

    The old key ends by itself. Its overlap is the time until the new one is everywhere plus the time for
    which receipts hold. A key that has leaked is revoked instead: that ends it, and its receipts, at once.
    """
    store = KeyStore(settings_of(context).keys_path)
    made = store.rotate(key_id, overlap_days * 24 * 60 * 60)
    if made is None:
        raise click.ClickException(f"no valid key '{key_id}'; `thumbline keys list` shows the ids")
    click.echo(made)
    (old,) = (key for key in store.list() if key.id == key_id)
    click.echo(f"{key_id} is {_state(old)}", err=True)
    click.echo("clients without a pepper of their own see every rater as a new one from here on", err=True)


@keys.command()
@click.argument("key_id")
@click.pass_context
def revoke(context: click.Context, /, key_id: str) -> None:
    """Revoke the key with this id, and all receipts that were minted with it."""
    if not KeyStore(settings_of(context).keys_path).revoke(key_id):
        raise click.ClickException(f"no valid key '{key_id}'; `thumbline keys list` shows the ids")
    click.echo(f"revoked {key_id}", err=True)


def _state(key: KeyInfo) -> str:
    if key.revoked_at is not None:
        return f"revoked {key.revoked_at}"
    if key.expires_at is None:
        return "valid"
    return f"valid until {key.expires_at}" if key.is_valid() else f"ended {key.expires_at}"
