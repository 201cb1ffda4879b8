"""
The demo: `thumbline up` in a fresh folder, sample events, both exports, and a chat to vote in.

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
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

_START_TIMEOUT_S = 60.0
_LAND_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Place:
    """Where the demo runs."""

    home: Path
    collector: str
    status: str
    chat: str

    @property
    def environ(self) -> dict[str, str]:
        """The settings of `thumbline up`, as environment variables."""
        return {
            "THUMBLINE_HOME": str(self.home),
            "THUMBLINE_PORT": _port_of(self.collector),
            "THUMBLINE_STATUS_PORT": _port_of(self.status),
            # What the chat's panel shows is the person's own.
            "THUMBLINE_STATUS_TEXTS": "true",
            "THUMBLINE_ALLOWED_ORIGINS": self.chat,
        }


def main() -> int:
    """Run the demo; the exit status says whether every step worked."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    home = Path(tempfile.mkdtemp(prefix="thumbline-demo-"))
    place = Place(home, *(f"http://127.0.0.1:{_free_port(wanted)}" for wanted in (8400, 8401, 8402)))
    os.environ.update(place.environ)
    try:
        with _up(place), _chat(place):
            _tell(place, _run_through(home))
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


def _tell(place: Place, files: list[Path]) -> None:
    for file in files:
        with file.open(encoding="utf-8") as lines:
            row = json.loads(next(lines))
        print(f"\nfirst row of {file}:\n{json.dumps(row, indent=2, ensure_ascii=False)}")
    command = f"{Path(sys.executable).parent / 'thumbline'} --home {place.home}"
    print(f"""
home       {place.home}   (log, warehouse, keys, exports)

try        {command} status
           {command} query "SELECT policy, sum(votes) AS votes, sum(ups) AS ups FROM thumb_rates GROUP BY ALL"
           {command} query "SELECT result, count(*) FROM pick_results GROUP BY ALL\"""")
    if not _is_once():
        print(f"""           {command} sample --seed 1 --url {place.collector}
           {command} export kto --project chat --out chat-kto     # what you voted in the chat

collector  {place.collector}
status     {place.status}
chat       {place.chat}        <- open this one, and vote
""")


@contextmanager
def _up(place: Place) -> Iterator[None]:
    with _process([sys.executable, "-m", "thumbline_ingest", "up"], f"{place.collector}/readyz", {}):
        yield


@contextmanager
def _chat(place: Place) -> Iterator[None]:
    key = _thumbline(place.home, "keys", "create", "--project", "chat").strip()
    environ = {
        "THUMBLINE_URL": place.collector,
        "THUMBLINE_KEY": key,
        "CHAT_SPOOL": str(place.home / "spool"),
        "CHAT_PORT": _port_of(place.chat),
        "CHAT_STATUS_URL": place.status,
        "PYTHONPATH": str(Path(__file__).parent.parent),
    }
    with _process([sys.executable, "-m", "examples.chat"], place.chat, environ):
        yield


@contextmanager
def _process(command: list[str], url: str, environ: dict[str, str]) -> Iterator[None]:
    """Run a server that answers at `url` when it is ready."""
    # A group of its own: Ctrl-C comes to this process, which then ends the other in order.
    process = subprocess.Popen(
        command,
        env=os.environ | environ,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=None if sys.stderr.isatty() and not _is_once() else subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )
    try:
        _wait_until_ready(process, url)
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


def _wait_until_ready(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"{process.args!r} ended with status {process.returncode}")
        try:
            with urlopen(url, timeout=1):
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise SystemExit(f"{url} did not answer in time")


def _wait_until_landed(home: Path) -> None:
    deadline = time.monotonic() + _LAND_TIMEOUT_S
    while time.monotonic() < deadline:
        status = json.loads(_thumbline(home, "status", "--format", "json"))
        if status["sent"] and not status["lag"]:
            return
        time.sleep(0.3)
    raise SystemExit("the sample did not land in time")


def _port_of(url: str) -> str:
    return url.rpartition(":")[2]


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
