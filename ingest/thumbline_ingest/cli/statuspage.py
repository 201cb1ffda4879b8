"""`thumbline status-page`: the page that shows whether everything is wired right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .context import settings_of
from .settings import Settings

if TYPE_CHECKING:
    from thumbline_ingest.statuspage.settings import StatusPageSettings


@click.command("status-page")
@click.option("--host", "status_host", help="Address to listen on.  [env: THUMBLINE_STATUS_HOST; default: 127.0.0.1]")
@click.option("--port", "status_port", type=int, help="TCP port.  [env: THUMBLINE_STATUS_PORT; default: 8401]")
@click.pass_context
def status_page(context: click.Context, /, **flags: Any) -> None:
    """
    Show in a browser what arrives, what is refused and why, and where an event is, until SIGTERM.

    Open to this machine alone; on another address it needs THUMBLINE_STATUS_TOKEN. It only reads.
    """
    from thumbline_ingest.ports import PortInUse
    from thumbline_ingest.statuspage.server import serve

    settings = page_settings(settings_of(context, **flags))
    settings.check()
    try:
        serve(settings)
    except PortInUse as error:
        raise click.ClickException(str(error)) from error


def page_settings(settings: Settings) -> StatusPageSettings:
    """What the page needs of the command's settings."""
    from thumbline_ingest.statuspage.settings import StatusPageSettings

    return StatusPageSettings(
        home=settings.home,
        log_url=settings.log_url,
        warehouse_url=settings.warehouse_url,
        collector_host=settings.host,
        collector_port=settings.port,
        host=settings.status_host,
        port=settings.status_port,
        token=settings.status_token,
        texts=settings.status_texts,
    )
