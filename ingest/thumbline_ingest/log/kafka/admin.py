"""What is asked of a cluster by short-lived clients: nothing here is kept, so nothing can be dead without saying so."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar, cast

from kafka import KafkaAdminClient, KafkaConsumer
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import BrokerResponseError, KafkaConnectionError, KafkaError

from ..base import LogMisconfigured, LogUnavailable
from .clients import made
from .settings import KafkaSettings

_CALL_TIMEOUT_S: Final = 15.0
_BROKERS_ASKED: Final = 4
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
            made(KafkaAdminClient, settings, bootstrap_timeout_ms=timeout_ms, request_timeout_ms=timeout_ms)
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
    described = _asked_twice(admin, settings.topic)
    # The error is in the row, it is not raised.
    if described["error_code"] == 3:  # UNKNOWN_TOPIC_OR_PARTITION
        raise LogMisconfigured(missing(settings))
    if described["error_code"]:
        raise LogUnavailable(f"{settings.name}: broker answers error {described['error_code']}")
    return dict(described)


def _asked_twice(admin: Any, topic: str) -> Any:
    # Any broker can answer, and kafka-python does not go on to the next one where the first it knows of is gone.
    for tries_left in reversed(range(_BROKERS_ASKED)):
        try:
            (described,) = admin.describe_topics([topic])
        except KafkaConnectionError:
            if not tries_left:
                raise
        else:
            return described
    raise AssertionError("unreachable")


def look_at_brokers(settings: KafkaSettings, timeout_s: float) -> None:
    """
    Return when every partition can be written to: each of the brokers that must have its records answers now.

    One broker's word is not enough: what is left of a cluster names leaders that are gone.

    Raises:
        LogMisconfigured: the topic does not exist.
        LogUnavailable: a partition cannot be written to.
    """
    with admin_client(settings, timeout_s) as admin:
        partitions = describe(admin, settings)["partitions"]
        for partition in partitions:
            if partition["leader_id"] < 0:
                raise LogUnavailable(f"{settings.name}: partition {partition['partition_index']} has no leader")
        if any(len(partition["isr_nodes"]) < len(partition["replica_nodes"]) for partition in partitions):
            _look_at_copies(admin, settings, min(len(partition["isr_nodes"]) for partition in partitions))
        for node in sorted({node for partition in partitions for node in partition["isr_nodes"]}):
            # Any answer is one: whether this client may know of groups, or the broker has loaded them, is nothing here.
            with contextlib.suppress(BrokerResponseError):
                # A small question that each broker answers for itself: there are next to no groups in that state.
                admin.list_groups(broker_ids=[node], states_filter=["Dead"])


def _look_at_copies(admin: Any, settings: KafkaSettings, copies: int) -> None:
    resource = ConfigResource(ConfigResourceType.TOPIC, settings.topic)
    try:
        found = admin.describe_configs([resource], config_filter="all")
        needed = int(found["topic"][settings.topic]["min.insync.replicas"]["value"])
    except (KafkaError, KeyError, TypeError, ValueError):
        # Not allowed to know: what is written will tell.
        return
    if copies < needed:
        raise LogUnavailable(f"{settings.name}: {copies} copies of a partition are left, and it takes {needed}")


def onlooker(settings: KafkaSettings) -> Any:
    """A consumer without a group: the loaders' share of the partitions is not touched."""
    return made(
        KafkaConsumer,
        settings,
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
