"""Makes kafka-python's clients."""

from __future__ import annotations

import contextlib
from typing import Any

from .settings import KafkaSettings


def made(kind: Any, settings: KafkaSettings, **options: Any) -> Any:
    """
    A client of this class for these settings.

    kafka-python 3.0.12 leaves a thread and some ten open files behind each time that a client cannot be
    made because no broker answers: what was opened is closed here.

    Args:
        kind: `KafkaProducer`, `KafkaConsumer` or `KafkaAdminClient`.
        settings: how to reach the brokers.
        options: further settings of the class.
    """
    connections: list[Any] = []

    def remembered(**config: Any) -> Any:
        connections.append(kind.DEFAULT_CONFIG["kafka_client"](**config))
        return connections[-1]

    try:
        return kind(**settings.connection(), kafka_client=remembered, **options)
    except BaseException:
        for connection in connections:
            # Whatever it says: what is of interest is why the client could not be made.
            with contextlib.suppress(Exception):
                connection.close()
        raise
