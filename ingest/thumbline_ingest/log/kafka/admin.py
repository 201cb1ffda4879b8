"""What is asked of a cluster by short-lived clients: nothing here is kept, so nothing can be dead without saying so."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar, cast

from kafka import KafkaAdminClient, KafkaConsumer
from kafka.errors import KafkaError

from ..base import LogMisconfigured, LogUnavailable
from .settings import KafkaSettings

_CALL_TIMEOUT_S: Final = 15.0
_T = TypeVar("_T")


def in_time(call: Callable[[], _T], settings: KafkaSettings, timeout_s: float = _CALL_TIMEOUT_S) -> _T:
    """The call's result; kafka-python can wait without end, so it is given a thread and a time."""
    outcome: queue.SimpleQueue[tuple[_T | None, BaseException | None]] = queue.SimpleQueue()

    def work() -> None:
        try:
            outcome.put((call(), None))
        except BaseException as error:  # noqa: BLE001 - handed to the caller
            outcome.put((None, error))

    threading.Thread(target=work, name="thumbline-kafka-call", daemon=True).start()
    try:
        result, error = outcome.get(timeout=timeout_s)
    except queue.Empty:
        raise LogUnavailable(f"{settings.name}: no answer in {timeout_s:g} s") from None
    if error is not None:
        raise error
    return cast("_T", result)


@contextlib.contextmanager
def mapped(settings: KafkaSettings) -> Iterator[None]:
    """Turns kafka-python's errors into the log's own: the rest of the project knows only those."""
    try:
        yield
    except KafkaError as error:
        raise LogUnavailable(f"{settings.name}: {type(error).__name__}: {error}") from error


@contextlib.contextmanager
def admin_client(settings: KafkaSettings, timeout_s: float = 5.0) -> Iterator[Any]:
    """An admin client for a moment."""
    timeout_ms = int(timeout_s * 1000)
    with (
        mapped(settings),
        contextlib.closing(
            KafkaAdminClient(**settings.connection(), bootstrap_timeout_ms=timeout_ms, request_timeout_ms=timeout_ms)
        ) as admin,
    ):
        yield admin


def describe(admin: Any, settings: KafkaSettings) -> dict[str, Any]:
    """
    The topic: its id and partitions.

    Raises:
        LogMisconfigured: it does not exist.
        LogUnavailable: the broker answers with an error.
    """
    (described,) = admin.describe_topics([settings.topic])
    # The error is in the row, it is not raised.
    if described["error_code"] == 3:  # UNKNOWN_TOPIC_OR_PARTITION
        raise LogMisconfigured(missing(settings))
    if described["error_code"]:
        raise LogUnavailable(f"{settings.name}: broker answers error {described['error_code']}")
    return dict(described)


def onlooker(settings: KafkaSettings) -> Any:
    """A consumer without a group: the loaders' share of the partitions is not touched."""
    return KafkaConsumer(
        **settings.connection(),
        bootstrap_timeout_ms=5_000,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=100,
    )


def missing(settings: KafkaSettings) -> str:
    """The sentence that says that there is no such topic, and what to do."""
    return (
        f"topic '{settings.topic}' does not exist on {', '.join(settings.bootstrap_servers)}; "
        "make it with `thumbline topic create`"
    )
