"""
Limits of the contract, in one place, each with the limit that it must stay under.

Lengths are in characters, sizes in bytes of UTF-8 JSON.
"""

from typing import Final

# One event as JSON. Kafka refuses a message above 1 MiB (`message.max.bytes` 1,048,588) and the
# collector's envelope and the record's key come on top.
MAX_EVENT_BYTES: Final = 900 * 1024

# One request as sent, and after inflating. Both are above the client's batches (`max_batch_bytes`),
# and above one event at its largest.
MAX_BODY_BYTES: Final = 5 * 1024 * 1024
MAX_INFLATED_BYTES: Final = 20 * 1024 * 1024

# Events in a request: above the client's `max_batch_events` (500).
MAX_BATCH_EVENTS: Final = 1_000

# Nesting of a JSON event: below the depth at which Python's and DuckDB's parsers give up.
MAX_DEPTH: Final = 64

MAX_ID_LENGTH: Final = 200
MAX_LABEL_LENGTH: Final = 200
MAX_COMMENT_LENGTH: Final = 10_000
MAX_TEXT_LENGTH: Final = 800_000
MAX_MESSAGES: Final = 2_000
MAX_PARTS: Final = 1_000
MAX_TAGS: Final = 32
MAX_TAG_LENGTH: Final = 100
MAX_ANSWERS: Final = 16
MAX_PROPERTIES: Final = 64
MAX_TOOLS: Final = 256

# A receipt: a pair with UUIDs as ids takes some 450, 16 answers 1,200. Looked at before anything else is.
MAX_RECEIPT_LENGTH: Final = 2_048
# Seconds that a receipt may hold at most. Below what a rotated key is commonly kept for, see docs/receipts.md.
MAX_RECEIPT_LIFE_S: Final = 30 * 24 * 60 * 60

# One request from a page: an edit of some length fits, and browsers send 64 KiB at most while a page closes.
MAX_VOTES_BYTES: Final = 256 * 1024
MAX_VOTES: Final = 50
