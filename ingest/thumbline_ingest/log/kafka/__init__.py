"""
The log on Apache Kafka, through kafka-python: the only package that knows that library.

Each event is a record of its own, keyed by what it is about, so that one conversation's events stay
in order and other consumers of the topic find what they expect.
"""

from __future__ import annotations

import logging

from .log import KafkaLog
from .reader import KafkaReader
from .settings import KafkaSettings
from .writer import KafkaWriter

__all__ = ["KafkaLog", "KafkaReader", "KafkaSettings", "KafkaWriter"]

logging.getLogger("kafka").setLevel(logging.CRITICAL)
