"""What `import thumbline` adds to a host's start: the whole process, against `import trubrics`."""

from __future__ import annotations

import argparse
import sys

from benchmarks.measure import interleave, peer_python, ratio, run, table, verdict


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=21)
    args = parser.parse_args()
    pythons = {"thumbline": sys.executable, "trubrics": peer_python("trubrics==1.8.5")}
    commands = {f"import {name}": [python, "-c", f"import {name}"] for name, python in pythons.items()}
    for command in commands.values():
        run(command)  # byte code and page cache
    found = interleave(
        {name: (lambda c=command: run(c).seconds * 1000) for name, command in commands.items()}, args.rounds
    )
    table("whole process", "ms", found)
    verdict("ours / trubrics", ratio(found["import thumbline"], found["import trubrics"]), 0.9, at_most=True)


if __name__ == "__main__":
    main()
