"""What only the Kafka log does, on a real broker."""

from __future__ import annotations

import contextlib
import signal
import time
import uuid
from pathlib import Path

import pytest

from tests import kafka_broker
from thumbline_ingest.log import Log, LogMisconfigured, LogUnavailable, Record, open_log

pytestmark = pytest.mark.kafka


def a_log(address: str, topic: str = "", **settings: object) -> Log:
    query = "&".join(
        f"{name}={value}" for name, value in {"session_timeout_s": 6, "group": uuid.uuid4().hex, **settings}.items()
    )
    return open_log(f"kafka://{address}/{topic or 't' + uuid.uuid4().hex}?{query}")


def test_a_missing_topic_is_refused_with_the_command_that_makes_it(kafka_address: str) -> None:
    with pytest.raises(LogMisconfigured, match="thumbline topic create"):
        a_log(kafka_address).writer()


def test_a_topic_is_made_as_the_url_says(kafka_address: str) -> None:
    log = a_log(kafka_address, partitions=3)
    assert log.create_topic()
    assert not log.create_topic()
    assert log.identity().partitions == 3


def test_a_recreated_topic_has_another_identity(kafka_address: str) -> None:
    from kafka import KafkaAdminClient

    log = a_log(kafka_address)
    log.create_topic()
    before = log.identity()
    admin = KafkaAdminClient(bootstrap_servers=kafka_address)
    admin.delete_topics([log.settings.topic])
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            log.create_topic()
            break
        except LogUnavailable:
            time.sleep(0.2)
    admin.close()
    assert log.identity().id != before.id


def test_partitions_that_are_added_are_read_however_short_the_polls(kafka_address: str) -> None:
    from kafka import KafkaAdminClient

    log = a_log(kafka_address, partitions=1)
    log.create_topic()
    reader = log.reader("reader")
    seen: set[int] = set()

    def poll_until(expected: set[int]) -> None:
        deadline = time.monotonic() + 20
        while seen != expected:
            assert time.monotonic() < deadline, f"read {seen} of {expected}"
            # Its time is over before the broker has answered that the group is joined.
            polled = reader.poll(0.001, 100)
            seen.update(polled.newly_assigned)
            reader.seek(dict.fromkeys(polled.newly_assigned, 0))

    poll_until({0})
    with contextlib.closing(KafkaAdminClient(bootstrap_servers=kafka_address)) as admin:
        admin.create_partitions({log.settings.topic: 2})
    # What happens by itself every five minutes.
    reader._consumer._cluster.request_update()
    poll_until({0, 1})
    reader.close()


def test_a_reader_has_seen_its_topic_before_it_joins(kafka_address: str) -> None:
    """Else it could deal out nothing, and who takes over its name would be given that."""
    log = a_log(kafka_address, partitions=3)
    log.create_topic()
    reader = log.reader("reader")
    assert reader._consumer._cluster.partitions_for_topic(log.settings.topic) == {0, 1, 2}
    reader.close()


def test_a_record_that_the_broker_would_refuse_costs_only_itself(kafka_address: str) -> None:
    log = a_log(kafka_address)
    log.create_topic()
    writer = log.writer()
    result = writer.append([Record(b"k", b"a"), Record(b"k", b"x" * 2_000_000), Record(b"k", b"b")])
    assert list(result.refused) == [1]
    assert not result.failed
    assert sum(b.end for b in log.bounds().values()) == 2
    writer.close()


def test_a_broker_that_is_away_is_said_in_time_and_comes_back_without_loss(tmp_path: Path) -> None:
    broker = kafka_broker.Broker(tmp_path / "broker")
    broker.start()
    try:
        log = a_log(broker.address)
        log.create_topic()
        writer = log.writer()
        writer.append([Record(b"k", b"%d" % i) for i in range(100)])
        broker.stop(signal.SIGKILL)

        began = time.monotonic()
        with pytest.raises(LogUnavailable):
            writer.check()
        assert time.monotonic() - began < 2.5
        with pytest.raises(LogUnavailable):
            writer.append([Record(b"k", b"lost?")])
        assert time.monotonic() - began < 14

        broker.start()
        writer.append([Record(b"k", b"after")])
        # What was acknowledged is there; "lost?" may be too, since nobody could know.
        assert sum(b.end for b in log.bounds().values()) in (101, 102)
        writer.close()
    finally:
        broker.stop()


def test_sasl_is_spoken(tmp_path: Path) -> None:
    more = (
        "listener.name.sasl_plaintext.sasl.enabled.mechanisms=PLAIN\n"
        "listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required "
        'username="admin" password="admin" user_loader="secret";\n'
        "sasl.enabled.mechanisms=PLAIN"
    )
    broker = kafka_broker.Broker(tmp_path / "broker", more=more, sasl=True)
    broker.start()
    try:
        sasl = {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN", "sasl_username": "loader"}
        log = a_log(f"127.0.0.1:{broker.sasl_port}", "t", sasl_password="secret", **sasl)
        assert log.create_topic()
        with pytest.raises(LogUnavailable):
            a_log(f"127.0.0.1:{broker.sasl_port}", "t", sasl_password="wrong", **sasl).identity()
    finally:
        broker.stop()
