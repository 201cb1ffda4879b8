"""
How fast a burst leaves the host: 100k thumbs recorded and flushed to a loopback sink, against segment
with its queue limit lifted.
"""

from __future__ import annotations

import argparse

from benchmarks.measure import interleave, ratio, table, verdict
from benchmarks.sdks import sink, worker


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=100_000)
    args = parser.parse_args()
    with sink() as url:
        found = interleave(
            {name: worker(name, "drain", url, args.events) for name in ("thumbline", "segment")}, args.rounds
        )
    table(f"{args.events:,} events recorded and delivered", "events/s", found)
    verdict("ours / segment", ratio(found["thumbline"], found["segment"]), 4.0, at_most=False)


if __name__ == "__main__":
    main()
