"""
Lists the benchmarks, or runs one.

    python -m benchmarks
    python -m benchmarks export --rounds 3
"""

from __future__ import annotations

import ast
import runpy
import sys
from pathlib import Path

_HERE = Path(__file__).parent
_NAMES = ("sdk_call", "sdk_drain", "import_time", "receipts", "collector", "kafka_append", "loader", "export")


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in _NAMES:
        print("python -m benchmarks NAME\n")
        for name in _NAMES:
            print(f"  {name:12} {_summary(_HERE / f'{name}.py')}")
        sys.exit(0 if len(sys.argv) < 2 else 2)
    name = sys.argv.pop(1)
    runpy.run_module(f"benchmarks.{name}", run_name="__main__")


def _summary(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split())


if __name__ == "__main__":
    main()
