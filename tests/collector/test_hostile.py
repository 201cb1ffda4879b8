"""Bodies made to cost much: the work stays in proportion to their size."""

from __future__ import annotations

import time

from thumbline_ingest.collector import strict


def test_repeated_keys_are_found_in_one_pass() -> None:
    """80,000 keys of which half repeat: looking each up among all others took half a minute."""
    body = "{" + ",".join(f'"{i % 40_000:x}":1' for i in range(80_000)) + "}"
    began = time.process_time()
    made = strict.json.loads(body, object_pairs_hook=strict._object)
    assert len(made.repeated) == 40_000
    assert time.process_time() - began < 2
