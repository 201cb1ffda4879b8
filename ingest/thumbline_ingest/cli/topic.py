"""`thumbline topic`: the Kafka topic."""

from __future__ import annotations

import click

from .context import settings_of


@click.group()
def topic() -> None:
    """Make and describe the Kafka topic of the log."""


@topic.command()
@click.pass_context
def create(context: click.Context) -> None:
    """Make the topic that THUMBLINE_LOG names, as its URL says (partitions, replication_factor)."""
    log = _kafka_log(context)
    made = log.create_topic()
    identity = log.identity()
    click.echo(f"{identity.name}: {'made' if made else 'is there already'}, {identity.partitions} partitions")


@topic.command()
@click.pass_context
def describe(context: click.Context) -> None:
    """Print the topic's id and what its partitions hold."""
    log = _kafka_log(context)
    identity = log.identity()
    click.echo(f"{identity.name}: id {identity.id}")
    for partition, held in log.bounds().items():
        click.echo(f"partition {partition}: {held.start} to {held.end}")


def _kafka_log(context: click.Context):  # type: ignore[no-untyped-def]  # kafka-python is imported only here
    url = settings_of(context).log_url
    if not url.startswith("kafka://"):
        raise click.ClickException("the log is no Kafka topic: set THUMBLINE_LOG=kafka://host:port/topic")
    from thumbline_ingest.log.kafka import KafkaLog, KafkaSettings

    return KafkaLog(KafkaSettings.from_url(url))
