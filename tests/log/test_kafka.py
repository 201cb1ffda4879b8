"""What only the Kafka log does, on a real broker."""

from __future__ import annotations

import contextlib
import signal
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kafka.errors import ClusterAuthorizationFailedError

from tests import kafka_broker
from tests.processes import wait_for
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


DEATHS: dict[str, Callable[[Any], None]] = {
    # What kafka-python does where a batch expires that was sent once.
    "its id is gone": lambda client: client._transaction_manager.reset_producer_id(),
    "a fatal error": lambda client: client._transaction_manager.transition_to_fatal_error(
        ClusterAuthorizationFailedError("not allowed any more")
    ),
    "its thread ends": lambda client: end_thread(client),
}


def end_thread(client: Any) -> None:
    client._sender.force_close()
    client._sender.join()


@pytest.mark.parametrize("what", DEATHS)
def test_a_producer_that_has_died_silently_is_replaced_at_once(kafka_address: str, what: str) -> None:
    log = a_log(kafka_address)
    log.create_topic()
    with contextlib.closing(log.writer()) as writer:
        writer.append([Record(b"k", b"before")])
        dead = writer._producers.current(0)
        DEATHS[what](dead.client)
        with pytest.raises(LogUnavailable, match="made anew"):
            # Of the producer, not of the broker, which is well.
            writer.check()
        wait_for(lambda: appends(writer), 5, "appends again")
        writer.check()
        assert writer._producers.current(0) is not dead
        wait_for(lambda: not dead.client._sender.is_alive(), 5, "the dead one has ended")


def test_what_a_given_up_producer_held_fails_and_weighs_nothing(kafka_address: str) -> None:
    log = a_log(kafka_address)
    log.create_topic()
    with contextlib.closing(log.writer()) as writer:
        old = writer._producers.current(0)
        # It has no id, so it holds what it is given for ever.
        old.client._transaction_manager.reset_producer_id()
        assert old.hold(5, 100)
        future = old.client.send(log.settings.topic, key=b"k", value=b"12345")
        writer._producers.give_up(old, "tested")
        wait_for(lambda: future.is_done, 5, "fails")
        wait_for(lambda: appends(writer), 5, "appends again")
        assert writer._producers.current(0).held_bytes == 0


def appends(writer: Any) -> bool:
    try:
        return not writer.append([Record(b"k", b"v")]).failed
    except LogUnavailable:
        return False


@pytest.mark.endurance
def test_one_broker_of_three_may_be_gone(tmp_path: Path) -> None:
    """Also while the addresses still name it, as they do."""
    cluster = kafka_broker.Cluster(tmp_path / "cluster")
    try:
        cluster.start()
        log = a_log(cluster.address)
        log.create_topic()
        with contextlib.closing(log.writer()) as writer:
            cluster.brokers[1].stop()
            wait_for(lambda: is_well(writer), 30, "well without it")
            for _ in range(20):
                writer.check()
                assert appends(writer)
                log.identity()
    finally:
        cluster.stop()


def is_well(writer: Any) -> bool:
    try:
        writer.check()
    except LogUnavailable:
        return False
    return True
