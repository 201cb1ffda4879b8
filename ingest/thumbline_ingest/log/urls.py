"""From a log's URL to the log."""

from __future__ import annotations

from .base import Log
from .sqlite import SqliteLog


def open_log(url: str) -> Log:
    """
    The log behind a URL; nothing is opened or connected yet.

    Args:
        url: `sqlite:PATH` or `kafka://host:port[,host:port]/topic[?setting=value&...]`.

    Raises:
        ValueError: the URL is of neither form, or a Kafka setting in it is unknown.
    """
    if url.startswith("sqlite:"):
        path = url.removeprefix("sqlite:")
        if not path:
            raise ValueError("THUMBLINE_LOG: 'sqlite:' needs a path, e.g. sqlite:log.sqlite")
        return SqliteLog(path)
    if url.startswith("kafka://"):
        # Imported here: a laptop never pays for it.
        from .kafka import KafkaLog, KafkaSettings

        return KafkaLog(KafkaSettings.from_url(url))
    raise ValueError(f"THUMBLINE_LOG: '{url.split(':')[0]}:' is no log; use sqlite:PATH or kafka://host:port/topic")
