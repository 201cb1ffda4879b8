"""
What one call costs the host: p50 of `thumb(...)` back to back, against langfuse `create_score` and
segment `track`; each in a process of its own, delivering to a loopback sink meanwhile.
"""

from __future__ import annotations

import argparse

from benchmarks.measure import interleave, ratio, table, verdict
from benchmarks.sdks import sink, worker


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--calls", type=int, default=1_500)
    args = parser.parse_args()
    with sink() as url:
        names = ("thumbline", "langfuse", "segment")
        found = interleave({name: worker(name, "call", url, args.calls) for name in names}, args.rounds)
    table(f"one call, p50 of {args.calls:,}", "microseconds", found)
    verdict("ours / langfuse", ratio(found["thumbline"], found["langfuse"]), 1.0, at_most=True)
    verdict("ours / segment", ratio(found["thumbline"], found["segment"]), 0.25, at_most=True)


if __name__ == "__main__":
    main()
