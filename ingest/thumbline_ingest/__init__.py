"""The way in: collector (HTTP), log (SQLite or Kafka), loader, and the `thumbline` command."""
