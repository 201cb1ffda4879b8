"""How to reach a Kafka topic."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

_GROUP: Final = "thumbline-loader"


@dataclass(frozen=True)
class KafkaSettings:
    """
    How to reach a topic. In a URL, every field but the first two is a query parameter.

        kafka://broker-1:9093,broker-2:9093/thumbline?security_protocol=SASL_SSL&sasl_mechanism=SCRAM-SHA-512
                &sasl_username=loader&ssl_cafile=/etc/ssl/kafka.pem

    Attributes:
        bootstrap_servers: `host:port` of some brokers.
        topic: the topic's name.
        partitions: for `thumbline topic create`: how many; bounds how many loaders share the work.
        replication_factor: for `thumbline topic create`: -1 is the cluster's default.
        group: the consumer group of the loaders.
        session_timeout_s: after how many silent seconds a loader's partitions go to the others.
        security_protocol: `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`.
        ssl_cafile: certificates to trust, PEM; the system's when empty. Host names are always checked.
        ssl_certfile: the client's certificate, PEM.
        ssl_keyfile: its key.
        sasl_mechanism: `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
        sasl_username: the user.
        sasl_password: its password; better from `THUMBLINE_KAFKA_PASSWORD`, which no process list shows.
    """

    bootstrap_servers: tuple[str, ...]
    topic: str
    partitions: int = 4
    replication_factor: int = -1
    group: str = _GROUP
    session_timeout_s: float = 30.0
    security_protocol: str = "PLAINTEXT"
    ssl_cafile: str = ""
    ssl_certfile: str = ""
    ssl_keyfile: str = ""
    sasl_mechanism: str = ""
    sasl_username: str = ""
    sasl_password: str = ""

    @classmethod
    def from_url(cls, url: str) -> KafkaSettings:
        """
        Settings from `kafka://host:port[,host:port]/topic[?setting=value&...]`.

        Raises:
            ValueError: no host or topic, or a setting that does not exist, with the ones that do.
        """
        parts = urlsplit(url)
        topic = parts.path.strip("/")
        if not parts.netloc or not topic:
            raise ValueError("THUMBLINE_LOG: a Kafka log is kafka://host:port[,host:port]/topic")
        types = {f.name: f.type for f in fields(cls) if f.name not in ("bootstrap_servers", "topic")}
        values: dict[str, Any] = {}
        for name, text in parse_qsl(parts.query):
            if name not in types:
                raise ValueError(f"THUMBLINE_LOG: '{name}' is no Kafka setting; there are {', '.join(types)}")
            values[name] = {"int": int, "float": float}.get(str(types[name]), str)(text)
        values.setdefault("sasl_password", os.environ.get("THUMBLINE_KAFKA_PASSWORD", ""))
        return cls(bootstrap_servers=tuple(parts.netloc.split(",")), topic=topic, **values)

    @property
    def name(self) -> str:
        """The log's name: its URL without settings."""
        return f"kafka://{','.join(self.bootstrap_servers)}/{self.topic}"

    def connection(self) -> dict[str, Any]:
        """Keyword arguments that every kafka-python client takes."""
        config: dict[str, Any] = {
            "bootstrap_servers": list(self.bootstrap_servers),
            "security_protocol": self.security_protocol,
            "reconnect_backoff_max_ms": 1_000,
        }
        secrets = {
            "ssl_cafile": self.ssl_cafile,
            "ssl_certfile": self.ssl_certfile,
            "ssl_keyfile": self.ssl_keyfile,
            "sasl_mechanism": self.sasl_mechanism,
            "sasl_plain_username": self.sasl_username,
            "sasl_plain_password": self.sasl_password,
        }
        return config | {name: value for name, value in secrets.items() if value}
