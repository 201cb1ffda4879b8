"""
What a receipt costs: minting and verifying one, against bare itsdangerous on the same bytes, and
`/v1/votes` with one event a request against `/v1/events` on the same server.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from itsdangerous import Signer, TimestampSigner

import thumbline
from benchmarks.collector import Load, start, thumb, wait_for
from benchmarks.measure import interleave, ratio, table, verdict
from thumbline.receipts import _signed, read_receipt, signer_of
from thumbline.testing import RecordingTransport
from thumbline_ingest.keys import KeyStore

PORT = 4720
# More than the collector remembers, so that each is verified when it comes round again.
_MANY = 20_000


def client(key: str) -> thumbline.Client:
    return thumbline.Client(
        "http://localhost", key=key, transport=RecordingTransport(), spool=None, app="support-chat", pepper="pepper",
        training_consent="granted",
    )  # fmt: skip


def median_us(call: Callable[[], object], calls: int) -> Callable[[], float]:
    def measure() -> float:
        found = []
        for _ in range(calls):
            begin = time.perf_counter_ns()
            call()
            found.append(time.perf_counter_ns() - begin)
        return statistics.median(found) / 1000

    return measure


def _verify_anew(receipt: str, signer: dict[str, Signer]) -> None:
    _signed.cache_clear()
    read_receipt(receipt, signer.get, time.time())


def receipts(rounds: int, calls: int) -> None:
    key = "tlk_benchkey_" + 43 * "k"
    tl = client(key)
    pair = tl.comparison(
        [thumbline.Answer(f"0192f0c1-5a3e-7c44-9b1e-0a4b8d2f6e1{n}", f"conversation-{n}") for n in (1, 2)]
    )
    receipt = tl.receipt(pair, rater="user-42")
    signer = {"benchkey": signer_of(hashlib.sha256(43 * b"k").hexdigest())}
    # The least that has to be done: the same bytes, signed, with a time, as the library comes.
    bare = TimestampSigner(key, digest_method=hashlib.sha256)
    text = receipt.rpartition(".")[0]
    stamped = bare.sign(text)
    found = interleave(
        {
            "mint": median_us(lambda: tl.receipt(pair, rater="user-42"), calls),
            "itsdangerous, sign": median_us(lambda: bare.sign(text), calls),
            "verify": median_us(lambda: _verify_anew(receipt, signer), calls),
            "itsdangerous, unsign": median_us(lambda: bare.unsign(stamped, max_age=60_000), calls),
        },
        rounds,
    )
    table(f"one receipt for a pair, {len(receipt)} characters", "microseconds", found)
    print(f"  mint / itsdangerous: {ratio(found['mint'], found['itsdangerous, sign']):.1f}x")
    print(f"  verify / itsdangerous: {ratio(found['verify'], found['itsdangerous, unsign']):.1f}x")
    for name, target in (("mint", 40), ("verify", 60)):
        own = statistics.median(found[name])
        print(f"  {name}: {own:.1f} us   target <= {target} us   {'met' if own <= target else 'MISSED'}")
    tl.close()


class VoteLoad(Load):
    """The same thumb from a page, each time with a new event id and with the next of so many receipts."""

    def __init__(self, key: str, receipts: int) -> None:
        event = thumb(0)
        rater = thumbline.Rater("r-9c1f", wrote_prompt=True)
        with client(key) as tl:
            answers = (thumbline.Answer(f"answer-{n:06}", f"c-{n:06}") for n in range(receipts))
            self.receipts = itertools.cycle([tl.receipt(answer, rater=rater).encode() for answer in answers])
        first = next(self.receipts)
        event["receipt"] = first.decode()
        # As a page does: it votes after it was given the receipt, and says what time it has.
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        event["occurred_at"] = now
        for name in ("target_id", "conversation_id", "rater", "app", "training_consent"):
            del event[name]
        body = json.dumps({"sent_at": now, "events": [event]}, separators=(",", ":"), ensure_ascii=False).encode()
        head = f"POST /v1/votes HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
        self.request = bytearray(head.encode() + body)
        self.places = [self.request.index(str(event["event_id"]).encode())]
        self.receipt_at = self.request.index(first)
        self.batch = 1
        self.number = 0

    def next(self) -> bytes:
        receipt = next(self.receipts)
        self.request[self.receipt_at : self.receipt_at + len(receipt)] = receipt
        return super().next()


def votes(app: str, rounds: int, seconds: float, connections: int) -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        key = KeyStore(home / "keys.json").create("bench")
        loads = {
            "/v1/votes, a new receipt each": VoteLoad(key, _MANY),
            "/v1/votes, one receipt": VoteLoad(key, 1),
            "/v1/events": Load([thumb(0)], key),
        }
        args = argparse.Namespace(server="granian", threads=64)
        server: subprocess.Popen[bytes] = start(app, PORT, home, args)
        try:
            wait_for(PORT)
            for load in loads.values():
                load.run(PORT, 0.5, connections)
            found = interleave(
                {name: (lambda own=load: own.run(PORT, seconds, connections)[0]) for name, load in loads.items()},
                rounds,
            )
        finally:
            server.terminate()
            server.wait(20)
    table(f"one thumb a request, {app}, {connections} connections", "events/s", found)
    for name in list(found)[:-1]:
        verdict(f"{name} / events", ratio(found[name], found["/v1/events"]), 0.8, at_most=False)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--calls", type=int, default=3_000)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--connections", type=int, default=16)
    args = parser.parse_args()
    receipts(args.rounds, args.calls)
    for app in ("durable", "discard"):
        votes(f"{app}_open", args.rounds, args.seconds, args.connections)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
