"""`thumbline collect` and `thumbline load`: the two processes of production."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

import click

from thumbline_ingest.loader import Loader, LoaderSettings
from thumbline_ingest.log import open_log
from thumbline_ingest.slots import take_slot
from thumbline_warehouse.connect import ConnectionSettings
from thumbline_warehouse.errors import WarehouseBusy
from thumbline_warehouse.store import DuckLakeStore, StoreSettings
from thumbline_warehouse.urls import WarehouseUrl

from .context import settings_of
from .settings import Settings, listed

_log = logging.getLogger("thumbline.loader")

_RETRY_S: Final = 5.0


@click.command()
@click.option("--host", help="Address to listen on.  [env: THUMBLINE_HOST; default: 127.0.0.1]")
@click.option("--port", type=int, help="TCP port.  [env: THUMBLINE_PORT; default: 8400]")
@click.option("--workers", type=int, help="Processes.  [env: THUMBLINE_WORKERS; default: 1]")
@click.option("--threads", type=int, help="Requests under way a process.  [env: THUMBLINE_THREADS; default: 64]")
@click.pass_context
def collect(context: click.Context, /, **flags: Any) -> None:
    """Take events over HTTP and put them into the log, until SIGTERM."""
    from thumbline_ingest.collector.addresses import Addresses
    from thumbline_ingest.collector.origins import Origins
    from thumbline_ingest.collector.server import PortInUse, serve
    from thumbline_ingest.collector.settings import CollectorSettings

    settings = settings_of(context, **flags)
    # Fails here, with a sentence, rather than in a worker.
    open_log(settings.log_url).writer().close()
    Origins(listed(settings.allowed_origins))
    Addresses(listed(settings.trusted_proxies))
    collector = CollectorSettings(
        log_url=settings.log_url,
        keys_path=settings.keys_path,
        data_dir=settings.home,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        threads=settings.threads,
        connections=settings.connections,
        allowed_origins=listed(settings.allowed_origins),
        trusted_proxies=listed(settings.trusted_proxies),
        votes_per_receipt=settings.votes_per_receipt,
        votes_per_address=settings.votes_per_address,
    )
    try:
        serve(collector)
    except PortInUse as error:
        raise click.ClickException(str(error)) from error


@click.command()
@click.option(
    "--loader", metavar="NAME", help="Stable name of this loader.  [env: THUMBLINE_LOADER; default: found by itself]"
)
@click.option(
    "--max-batch-records",
    type=int,
    help="Records in a load at most.  [env: THUMBLINE_MAX_BATCH_RECORDS; default: 100000]",
)
@click.option(
    "--max-batch-age-s",
    type=float,
    help="Seconds that a record waits for others.  [env: THUMBLINE_MAX_BATCH_AGE_S; default: 1]",
)
@click.option("--until-empty", is_flag=True, help="End when all that the log holds now is landed.")
@click.option("--accept-new-log", is_flag=True, help="Go on with a log that was made anew.")
@click.option(
    "--accept-gap", is_flag=True, help="Go on where the log dropped records unread; they are counted as lost."
)
@click.pass_context
def load(context: click.Context, /, until_empty: bool, accept_new_log: bool, accept_gap: bool, **flags: Any) -> None:
    """Land what the log holds in the warehouse, until SIGTERM."""
    settings = settings_of(context, **flags)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with _member(settings) as member, _opened(settings, member, stop, until_empty) as store:
        if store is None:
            return
        loader_settings = LoaderSettings(
            member=member,
            max_batch_records=settings.max_batch_records,
            max_batch_age_s=settings.max_batch_age_s,
            compact_interval_s=settings.compact_interval_s,
            accept_new_log=accept_new_log,
            accept_gap=accept_gap,
        )
        Loader(open_log(settings.log_url), store, loader_settings).run(stop, until_empty=until_empty)


@contextmanager
def _opened(settings: Settings, member: str, stop: threading.Event, once: bool) -> Iterator[DuckLakeStore | None]:
    """The warehouse, waited for while its disk is full or another process holds it; None when told to stop."""
    store: DuckLakeStore | None = None
    while store is None and not stop.is_set():
        try:
            store = _store(settings, member)
        except WarehouseBusy as error:
            if once:
                raise
            _log.warning("the warehouse cannot be opened now, and it is tried again: %s", error)
            stop.wait(_RETRY_S)
    if store is None:
        yield None
        return
    with closing(store):
        yield store


def _store(settings: Settings, member: str) -> DuckLakeStore:
    connection = ConnectionSettings(memory_limit=settings.memory_limit, temp_directory=str(settings.home / "spill"))
    return DuckLakeStore(
        WarehouseUrl.parse(settings.warehouse_url),
        StoreSettings(loader=member, keep_files_s=settings.keep_files_s, connection=connection),
    )


@contextmanager
def _member(settings: Settings) -> Iterator[str]:
    """
    A name that this loader has alone, and that a restarted one finds again.

    It is the first free slot of the home folder. A killed loader's slot is free at once, since the
    system drops its lock.
    """
    if settings.loader:
        yield settings.loader
        return
    taken = take_slot(settings.home / f"loader-{slot}.lock" for slot in range(1_000))
    if taken is None:
        raise click.ClickException("more than 1,000 loaders in one home folder")
    slot, descriptor = taken
    try:
        yield f"{socket.gethostname()}-{slot}"
    finally:
        os.close(descriptor)
