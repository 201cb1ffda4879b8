"""gevent, patched before the import, or only after the client was made: events arrive, and nothing hangs."""

import pytest

pytest.importorskip("gevent")

PROGRAM = """
import sys, time, warnings, logging
warnings.simplefilter("ignore")
logging.basicConfig(format="%(message)s")
url, when, end, spool = sys.argv[1:]
def patch():
    from gevent import monkey
    monkey.patch_all()
if when == "first":
    patch()
import thumbline
if when == "imported":
    patch()
tl = thumbline.Client(url, "k", spool=spool, flush_interval_s=0.02)
if when == "sending":
    tl.thumb("a0", "up", rater="u")
    assert tl.flush(10)
if when in ("made", "sending"):
    patch()
import gevent
ticks = []
def tick():
    while True:
        ticks.append(1)
        gevent.sleep(0.005)
gevent.spawn(tick)
jobs = [gevent.spawn(tl.thumb, f"b{n}", "up", rater="u") for n in range(20)]
gevent.joinall(jobs)
before = len(ticks)
if end == "flush":
    assert tl.flush(10), tl.stats()
    deadline = time.monotonic() + 10
    while len(ticks) - before < 5 and time.monotonic() < deadline:
        time.sleep(0.01)  # the sender has nothing to do, and keeps nobody waiting
    assert len(ticks) - before >= 5
    tl.thumb("c", "up", rater="u")
    assert tl.flush(10), tl.stats()
elif end == "close":
    assert tl.close(10), tl.stats()
"""


@pytest.mark.parametrize("end", ["flush", "close", "exit"])
@pytest.mark.parametrize("when", ["first", "imported", "made", "sending"])
def test_gevent_in_any_order(server, run_python, tmp_path, when, end):
    done = run_python(PROGRAM, server.url, when, end, tmp_path / "spool", quiet=False)

    # While the interpreter ends, gevent may refuse a thread that it has not met before: what is left goes to the disk.
    kept = sum(len(file.read_bytes().splitlines()) for file in (tmp_path / "spool").glob("*.seg"))
    assert end == "exit" or not kept
    assert len(server.stored) + kept == 20 + (when == "sending") + (end == "flush")
    # Within the time that the end of the process may take.
    assert done.seconds < 20
    assert done.stderr.count("threads were patched after thumbline was imported") == (when in ("imported", "made"))
