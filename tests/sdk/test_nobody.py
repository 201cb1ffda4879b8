"""A process whose user is unknown and has no home: memory only, said once, and nothing raises."""

import sys

import thumbline
from tests.nobody import as_nobody, needs_root
from thumbline.testing import RecordingTransport

PROGRAM = """
import logging, os
logging.basicConfig(format="%(message)s")
assert "HOME" not in os.environ
import thumbline, thumbline.testing
tl = thumbline.Client("http://127.0.0.1:9", "tlk_testtest_" + "x" * 43, durable=True, backoff_initial_s=0)
other = thumbline.Client("http://127.0.0.1:9", "tlk_testtest_" + "x" * 43, spool=SPOOL)
for client in (tl, other):
    answer = client.completion(messages=[], response="a", model="m")
    client.thumb(answer, "up", rater="u")
    assert client.receipt(answer, rater="u")
    assert not client.flush(0.1) and client.stats().queued == 2, client.stats()
    if os.fork() == 0:
        client.thumb("a", "up", rater="u")
        client.close(0)
        os._exit(0)
    assert os.wait()[1] == 0
    client.close(0)
    assert client.stats().dropped == {"shutdown": 2}, client.stats()
with thumbline.testing.record() as double:
    double.thumb("a", "up", rater="u")
    assert len(double.events) == 1
print("well")
"""


@needs_root
def test_client_without_a_home(tmp_path):
    done = as_nobody([sys.executable, "-W", "error", "-c", PROGRAM.replace("SPOOL", repr(str(tmp_path / "not-ours")))])

    assert (done.returncode, done.stdout.strip()) == (0, "well"), done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("this user has no home directory, memory only") == 1
    # The child of a fork says it again: it has a memory of its own of what was said.
    assert 1 <= done.stderr.count("the spool cannot be written, memory only") <= 2


def test_a_receipt_that_lacks_an_argument_is_empty(caplog):
    """As every method: what is wrong in a call does not reach the host's users."""
    with thumbline.Client("http://x", "k", transport=RecordingTransport()) as tl:
        assert tl.receipt("answer-1") == ""
        assert tl.receipt("answer-1", rater="u", unknown=1) == ""

    assert "a receipt could not be minted: TypeError" in caplog.text
