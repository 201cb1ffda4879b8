"""What the benchmarks share: interleaved rounds, processes with their peak memory, peers in a venv of their own."""

from __future__ import annotations

import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
CACHE = Path(os.environ.get("THUMBLINE_CACHE", ROOT / ".cache"))


@dataclass(frozen=True)
class Run:
    """
    One process from start to end.

    Attributes:
        seconds: wall time.
        peak_mb: its largest resident set.
        output: what it printed.
    """

    seconds: float
    peak_mb: float
    output: str


def run(command: Sequence[str], environ: Mapping[str, str] | None = None, timeout_s: float = 600) -> Run:
    """Run a command to its end; raises with its output when it fails."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        begin = time.perf_counter()
        process = subprocess.Popen(command, env=environ, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        deadline = begin + timeout_s
        # `wait4` rather than `Popen.wait`: the peak of this child, not of all so far.
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if time.perf_counter() > deadline:
                process.kill()
                os.wait4(process.pid, 0)
                raise TimeoutError(f"{' '.join(command)}: not done after {timeout_s} s")
            time.sleep(0.002)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)}: exit {process.returncode}\n{out.read()}{err.read()}")
        return Run(seconds, usage.ru_maxrss / 1024, out.read())


def interleave(candidates: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Measure each once a round, so that what the machine does meanwhile falls on all alike."""
    found: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(rounds):
        for name, measure in candidates.items():
            found[name].append(measure())
            print(f"  round {number + 1}/{rounds}  {name}: {found[name][-1]:,.4g}", file=sys.stderr, flush=True)
    return found


def ratio(mine: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the rounds' own ratios."""
    return statistics.median(m / t for m, t in zip(mine, theirs, strict=True))


def table(title: str, unit: str, found: Mapping[str, Sequence[float]], notes: Mapping[str, str] | None = None) -> None:
    """Print medians and spans."""
    print(f"\n{title} ({unit}; {os.cpu_count()} cores, median of {len(next(iter(found.values())))}, lowest..highest)")
    for name, values in found.items():
        note = (notes or {}).get(name, "")
        print(f"  {name:34} {statistics.median(values):>12,.4g}  ({min(values):,.4g}..{max(values):,.4g})  {note}")


def verdict(what: str, value: float, target: float, *, at_most: bool) -> None:
    """Print the one ratio and whether it is within its target."""
    sign, met = ("<=", value <= target) if at_most else (">=", value >= target)
    print(f"  {what}: {value:.2f}x   target {sign} {target}x   {'met' if met else 'MISSED'}")


def peer_python(*packages: str) -> str:
    """The interpreter of a throw-away venv that holds these packages; made once."""
    key = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:8]
    folder = CACHE / "bench-venv" / f"{packages[0].split('==')[0]}-{key}"
    python = folder / "bin" / "python"
    if not (folder / ".ready").exists():
        print(f"installing {' '.join(packages)} into {folder} (once)", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
        subprocess.run(pip, check=True, stdin=subprocess.DEVNULL)
        (folder / ".ready").touch()
    return str(python)
