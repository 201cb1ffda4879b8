"""
The demo: `thumbline up` in a fresh folder, sample events through the SDK, both exports, their first rows.

Stays up for the reader to try, until Ctrl-C; ends by itself with DEMO_ONCE=1 or without standard input.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

_START_TIMEOUT_S = 60.0
_LAND_TIMEOUT_S = 60.0


def main() -> int:
    """Run the demo; the exit status says whether every step worked."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    home = Path(tempfile.mkdtemp(prefix="thumbline-demo-"))
    port = _free_port(8400)
    try:
        with _up(home, port):
            _tell(home, port, _run_through(home))
            if not _is_once():
                _wait()
    except KeyboardInterrupt:
        print("\nbye")
    return 0


def _run_through(home: Path) -> list[Path]:
    """Send, wait until everything has landed, export; the files that were made."""
    key = _thumbline(home, "keys", "create", "--project", "demo").strip()
    _thumbline(home, "sample", "--key", key)
    _wait_until_landed(home)
    return [
        Path(_thumbline(home, "export", kind, "--out", str(home / "exports" / kind)).strip())
        for kind in ("kto", "pairs")
    ]


def _tell(home: Path, port: int, files: list[Path]) -> None:
    for file in files:
        with file.open(encoding="utf-8") as lines:
            row = json.loads(next(lines))
        print(f"\nfirst row of {file}:\n{json.dumps(row, indent=2, ensure_ascii=False)}")
    command = f"{Path(sys.executable).parent / 'thumbline'} --home {home}"
    print(f"""
home       {home}   (log, warehouse, keys, exports)

try        {command} status
           {command} query "SELECT policy, sum(votes) AS votes, sum(ups) AS ups FROM thumb_rates GROUP BY ALL"
           {command} query "SELECT result, count(*) FROM pick_results GROUP BY ALL\"""")
    if not _is_once():
        print(f"""           {command} sample --seed 1 --url http://127.0.0.1:{port}

collector  http://127.0.0.1:{port}
""")


@contextmanager
def _up(home: Path, port: int) -> Iterator[None]:
    environ = os.environ | {"THUMBLINE_PORT": str(port), "THUMBLINE_HOME": str(home)}
    os.environ["THUMBLINE_PORT"] = str(port)
    # A group of its own: Ctrl-C comes to this process, which then ends the other in order.
    process = subprocess.Popen(
        [sys.executable, "-m", "thumbline_ingest", "up"],
        env=environ,
        start_new_session=True,
        stderr=None if sys.stderr.isatty() and not _is_once() else subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )
    try:
        _wait_until_ready(process, port)
        yield
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _thumbline(home: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "thumbline_ingest", "--home", str(home), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def _wait_until_ready(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"thumbline up ended with status {process.returncode}")
        try:
            with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1):
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise SystemExit("thumbline up did not get ready")


def _wait_until_landed(home: Path) -> None:
    deadline = time.monotonic() + _LAND_TIMEOUT_S
    while time.monotonic() < deadline:
        status = json.loads(_thumbline(home, "status", "--format", "json"))
        if status["sent"] and not status["lag"]:
            return
        time.sleep(0.3)
    raise SystemExit("the sample did not land in time")


def _free_port(wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(sock.getsockname()[1])
    raise SystemExit("no free port on loopback")


def _is_once() -> bool:
    return os.environ.get("DEMO_ONCE") == "1" or _is_input_closed()


def _is_input_closed() -> bool:
    try:
        descriptor = sys.stdin.fileno()
    except (AttributeError, ValueError, OSError):
        return True
    if os.isatty(descriptor):
        return False
    # Not a terminal: closed if it is at its end already.
    readable, _, _ = select.select([descriptor], [], [], 0)
    return bool(readable) and not os.read(descriptor, 1)


def _wait() -> None:
    print("up until Ctrl-C")
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    sys.exit(main())
